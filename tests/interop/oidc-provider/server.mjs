// An authorization server (npm's oidc-provider) and a resource that accepts its tokens, both on
// loopback over TLS. Says where they are in one line of JSON, and ends when its standard input
// does.

import { createPublicKey, randomUUID, X509Certificate } from 'node:crypto';
import { createServer } from 'node:https';
import { once } from 'node:events';
import { calculateJwkThumbprint } from 'jose';
import { Provider } from 'oidc-provider';

import { makePki } from './pki.mjs';

// Characters that must be form-encoded before Basic (RFC 6749 section 2.3.1).
const SECRET = `50%+1:&=/${randomUUID()}`;
const CLIENT = 'extendedKeyUsage=clientAuth';
const pki = makePki({
  server: { kind: 'p256', usage: 'extendedKeyUsage=serverAuth\nsubjectAltName=DNS:localhost' },
  rsa: { kind: 'rsa', usage: CLIENT },
  p256: { kind: 'p256', usage: CLIENT },
  ed25519: { kind: 'ed25519', usage: CLIENT },
});

// ===== the authorization server =====

const grants = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] };

async function assertionClient(client_id, { cert }, alg) {
  const jwk = createPublicKey(cert).export({ format: 'jwk' });
  const kid = await calculateJwkThumbprint(jwk);
  return {
    ...grants,
    client_id,
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: alg,
    jwks: { keys: [{ ...jwk, kid, alg, use: 'sig' }] },
  };
}

const clients = [
  await assertionClient('assertion-ps256', pki.rsa, 'PS256'),
  await assertionClient('assertion-rs256', pki.rsa, 'RS256'),
  await assertionClient('assertion-es256', pki.p256, 'ES256'),
  await assertionClient('assertion-eddsa', pki.ed25519, 'EdDSA'),
  await assertionClient('assertion-ed25519', pki.ed25519, 'Ed25519'),
  {
    ...grants,
    client_id: 'mutual-tls',
    token_endpoint_auth_method: 'tls_client_auth',
    tls_client_auth_subject_dn: 'CN=p256',
    tls_client_certificate_bound_access_tokens: true,
  },
  {
    ...grants,
    client_id: 'rotating',
    token_endpoint_auth_method: 'tls_client_auth',
    tls_client_auth_subject_dn: 'CN=rotating',
    tls_client_certificate_bound_access_tokens: true,
  },
  {
    ...grants,
    client_id: 'basic client',
    client_secret: SECRET,
    token_endpoint_auth_method: 'client_secret_basic',
  },
];

function certificate(socket) {
  const { raw } = socket.getPeerCertificate();
  return raw && new X509Certificate(raw);
}

/** The `x5t#S256` of the certificate that this connection shows. */
function thumbprint(socket) {
  const hex = certificate(socket)?.fingerprint256.replaceAll(':', '');
  return hex && Buffer.from(hex, 'hex').toString('base64url');
}

const tls = {
  ...pki.server,
  // Clients may be of another authority than the servers.
  ca: [pki.ca, process.env.INTEROP_CLIENT_CA].filter(Boolean),
  // Whoever has a certificate shows it; who needs one is decided below.
  requestCert: true,
  rejectUnauthorized: false,
  keepAliveTimeout: 60_000,
};

const authority = createServer(tls);
authority.listen(0, '127.0.0.1');
await once(authority, 'listening');
const issuer = `https://localhost:${authority.address().port}`;

const provider = new Provider(issuer, {
  clients,
  scopes: ['orders.read'],
  ttl: { ClientCredentials: 600 },
  clientAuthMethods: ['client_secret_basic', 'private_key_jwt', 'tls_client_auth'],
  enabledJWA: { clientAuthSigningAlgValues: ['RS256', 'PS256', 'ES256', 'EdDSA', 'Ed25519'] },
  assertJwtClientAuthClaimsAndHeader(ctx, claims, header) {
    // Stricter than its default: what RFC 7523bis and FAPI 2.0 ask of a client.
    const right = header.typ === 'client-authentication+jwt'
      && claims.aud === issuer
      && claims.iss === claims.sub
      && Number.isInteger(claims.iat)
      && claims.exp - claims.iat <= 60;
    if (!right) {
      throw new Error(`unexpected assertion: ${JSON.stringify({ header, claims })}`);
    }
  },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    mTLS: {
      enabled: true,
      tlsClientAuth: true,
      certificateBoundAccessTokens: true,
      getCertificate: ({ socket }) => certificate(socket)?.toString(),
      certificateAuthorized: ({ socket }) => socket.authorized,
      certificateSubjectMatches: ({ socket }, property, expected) => (
        property === 'tls_client_auth_subject_dn' && certificate(socket)?.subject === expected
      ),
    },
  },
});

const requests = {};
const tokens = [];
const count = ({ oidc }) => {
  const id = oidc.client?.clientId;
  requests[id] = (requests[id] ?? 0) + 1;
};
provider.on('grant.success', count);
provider.on('grant.error', (ctx, error) => {
  count(ctx);
  console.error(`token request refused: ${error.error}: ${error.error_detail ?? error.error_description}`);
});
provider.on('server_error', (ctx, error) => console.error(error));
provider.on('client_credentials.saved', (token) => tokens.push(token));
authority.on('request', provider.callback());

// ===== the resource =====

const bound = { matched: 0, mismatched: 0 };

async function isValid(request) {
  const [, value] = /^Bearer (\S+)$/u.exec(request.headers.authorization ?? '') ?? [];
  const token = value && await provider.ClientCredentials.find(value);
  if (!token?.isValid || token.scope !== 'orders.read') {
    return false;
  }
  const expected = token['x5t#S256'];
  if (!expected) {
    return true;
  }
  const matches = thumbprint(request.socket) === expected;
  bound[matches ? 'matched' : 'mismatched'] += 1;
  return matches;
}

async function answer(request, response) {
  switch (`${request.method} ${request.url}`) {
    case 'GET /orders/alone':
      // The next call needs a connection of its own.
      response.setHeader('Connection', 'close');
      // falls through
    case 'GET /orders':
      if (await isValid(request)) {
        response.end('the orders');
      } else {
        response.writeHead(401, { 'WWW-Authenticate': 'Bearer realm="orders", error="invalid_token"' });
        response.end();
      }
      break;
    case 'POST /revoke-all':
      await Promise.all(tokens.splice(0).map((token) => token.destroy()));
      response.end();
      break;
    case 'GET /token-requests':
      response.end(JSON.stringify(requests));
      break;
    case 'GET /connections':
      response.end(JSON.stringify({
        ...bound, handshakes, open, arrival: arrivals.get(request.socket.remotePort),
      }));
      break;
    default:
      response.writeHead(404).end();
  }
}

const resource = createServer(tls, (request, response) => {
  answer(request, response).catch((error) => {
    console.error(error);
    response.writeHead(500).end();
  });
});

// Connections are numbered as they arrive; each is known by its client's port.
const arrivals = new Map();
const handshakes = [];
let arrived = 0;
let open = 0;
resource.on('connection', (socket) => {
  arrived += 1;
  open += 1;
  arrivals.set(socket.remotePort, arrived);
  socket.on('close', () => { open -= 1; });
});
resource.on('secureConnection', (socket) => {
  // A resumed session has the certificate that it began with.
  handshakes.push({
    arrival: arrivals.get(socket.remotePort),
    certificate: thumbprint(socket),
    resumed: socket.isSessionReused(),
  });
});
resource.listen(0, '127.0.0.1');
await once(resource, 'listening');

process.stdin.resume().on('end', () => process.exit());
console.log(JSON.stringify({
  issuer,
  token_endpoint: `${issuer}/token`,
  resource: `https://localhost:${resource.address().port}`,
  secret: SECRET,
  ca: pki.ca,
  rsa: pki.rsa,
  p256: pki.p256,
  ed25519: pki.ed25519,
}));
