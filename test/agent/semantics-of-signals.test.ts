/**
 * What signals do to calls that wait, on a mount of all sessions of an agent: as on one of a session. Layer: test.
 */
import './as-one-session.ts'
import '../semantics/interrupts.test.ts'
import '../semantics/signals.test.ts'
