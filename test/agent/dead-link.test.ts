/** A link that is dead for a while, under a mount of all sessions of an agent: as under one of a session. Layer: test. */
import './as-one-session.ts'
import '../mount/dead-link.test.ts'
