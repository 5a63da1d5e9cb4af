/**
 * Random operations on a session's directory in a mount of all of an agent: as on a mount of the session. Layer: test.
 */
import './as-one-session.ts'
import '../model/mount-model.test.ts'
