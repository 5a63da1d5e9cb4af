/**
 * Imported first by the files beside that repeat the tests of one session on a mount of all of an agent.
 * Layer: tests.
 */
process.env['TEST_MOUNT'] = 'agent'
