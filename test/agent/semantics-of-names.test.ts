/**
 * What system calls do with names, and what signals do, on a mount of all sessions of an agent: as on one of a
 * session. Layer: test.
 */
import './as-one-session.ts'
import '../semantics/directories.test.ts'
import '../semantics/impossible.test.ts'
import '../semantics/interrupts.test.ts'
import '../semantics/names.test.ts'
import '../semantics/signals.test.ts'
