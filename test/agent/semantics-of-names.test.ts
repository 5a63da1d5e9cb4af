/**
 * What system calls do with names, on a mount of all sessions of an agent: as on one of a
 * session. Layer: test.
 */
import './as-one-session.ts'
import '../semantics/directories.test.ts'
import '../semantics/impossible.test.ts'
import '../semantics/names.test.ts'
