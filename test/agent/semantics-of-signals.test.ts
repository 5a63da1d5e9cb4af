/**
 * What signals do to calls that wait, on a mount of all sessions of an agent: as on one of a session. Layer: test.
 */
import t from 'tap'
import './as-one-session.ts'
import '../semantics/interrupts.test.ts'
import '../semantics/signals.test.ts'

/* each call waits through many signals, one after the other */
t.setTimeout(480_000)
