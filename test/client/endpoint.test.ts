import t from 'tap'
import { parseEndpoint, queryString, remotePath, segment } from '../../src/client/endpoint.ts'
import { Routes } from '../../src/client/routes.ts'

void t.test('an endpoint is https, or http on this machine', (t) => {
  t.strictSame(parseEndpoint('https://acc.services.ai.azure.com/api/projects/proj/'), {
    origin: 'https://acc.services.ai.azure.com',
    basePath: '/api/projects/proj',
  })
  for (const host of ['localhost:8080', '127.0.0.1', '127.8.9.1:1', '[::1]:3000'])
    t.equal(parseEndpoint(`http://${host}`).origin, new URL(`http://${host}`).origin)
  const far = [
    'http://example.com',
    'http://10.0.0.1',
    'http://127.0.0.1.example.com',
    'http://localhost.example',
    'http://[::2]',
  ]
  for (const endpoint of far) t.throws(() => parseEndpoint(endpoint), { code: 'insecure_endpoint' }, endpoint)
  for (const endpoint of ['', 'acc.services.ai.azure.com', 'ftp://x', 'file:///x'])
    t.throws(() => parseEndpoint(endpoint), { code: 'bad_request' }, endpoint)
  t.end()
})

void t.test('a path is the home, or absolute below it', (t) => {
  t.equal(remotePath(''), '.')
  t.equal(remotePath('.'), '.')
  t.equal(remotePath('/'), '.')
  t.equal(remotePath('a/b'), '/a/b')
  t.equal(remotePath('/a/b/'), '/a/b')
  t.equal(remotePath(' x '), '/ x ')
  t.end()
})

void t.test('parameters are encoded but for the unreserved characters, and absent ones left out', (t) => {
  const query = queryString({
    path: "/a b+c%d&e=f#?!'()*~-_.é",
    limit: 100,
    after: undefined,
    recursive: true,
  })
  t.equal(query, 'path=%2Fa%20b%2Bc%25d%26e%3Df%23%3F%21%27%28%29%2A~-_.%C3%A9&limit=100&recursive=true')
  t.throws(() => queryString({ path: 'lone \ud800' }), { code: 'bad_request' })
  t.end()
})

void t.test('a name is one segment of a route, whatever is in it', (t) => {
  const routes = new Routes('/api/projects/p')
  t.equal(routes.session('my-agent', 'a/b?c'), '/api/projects/p/agents/my-agent/endpoint/sessions/a%2Fb%3Fc')
  t.equal(routes.stop('a', 's'), '/api/projects/p/agents/a/endpoint/sessions/s:stop')
  t.equal(routes.logStream('a', 's', '2'), '/api/projects/p/agents/a/versions/2/sessions/s:logstream')
  t.equal(routes.logStream('a', 's', undefined), '/api/projects/p/agents/a/sessions/s:logstream')
  for (const name of ['', '.', '..']) {
    t.throws(() => segment('an agent', name), { code: 'bad_request' })
    t.throws(() => routes.files('a', name), { code: 'bad_request' })
  }
  t.end()
})
