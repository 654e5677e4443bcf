// A throw-away certificate authority: openssl makes it in a temporary directory, which is removed
// at once.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const keys = {
  rsa: ['rsa:2048'],
  p256: ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  ed25519: ['ed25519'],
};

/** The authority's certificate, and what `issue` makes of it: PEM texts `{ cert, key }`. */
export function makePki(wanted) {
  const dir = mkdtempSync(join(tmpdir(), 'tower-oauth-interop-'));
  const openssl = (...args) => execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' });
  const read = (name) => readFileSync(join(dir, name), 'utf8');

  try {
    openssl('req', '-x509', '-newkey', ...keys.p256, '-nodes', '-days', '2',
      '-subj', '/CN=Throw-away CA', '-keyout', 'ca.key', '-out', 'ca.crt');
    const issued = {};
    for (const [name, { kind, usage }] of Object.entries(wanted)) {
      openssl('req', '-new', '-newkey', ...keys[kind], '-nodes',
        '-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.csr`);
      writeFileSync(join(dir, 'ext'), `basicConstraints=critical,CA:FALSE\n${usage}\n`);
      openssl('x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.crt', '-CAkey', 'ca.key',
        '-days', '1', '-extfile', 'ext', '-out', `${name}.crt`);
      issued[name] = { cert: read(`${name}.crt`), key: read(`${name}.key`) };
    }
    return { ca: read('ca.crt'), ...issued };
  } finally {
    rmSync(dir, { recursive: true });
  }
}
