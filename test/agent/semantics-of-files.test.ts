/**
 * What system calls do with files, on a mount of all sessions of an agent: as on one of a session. Layer: test.
 */
import './as-one-session.ts'
import '../semantics/attributes.test.ts'
import '../semantics/open-files.test.ts'
import '../semantics/sizes-and-holes.test.ts'
import '../semantics/mapping-and-locks.test.ts'
