/**
 * What programs have open in a session's directory when the daemon of a mount of all of an agent dies: as on a mount
 * of the session. Layer: test.
 */
import './as-one-session.ts'
import '../outlives/directories.test.ts'
import '../outlives/loops.test.ts'
import '../outlives/open-files.test.ts'
