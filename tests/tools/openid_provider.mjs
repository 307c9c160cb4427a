// A certified OpenID Provider on the loopback interface, with a login page, groups, refresh tokens, sign-out,
// keys that rotate, and switches for failure. Speaks the line protocol of README.md.
import { createHash, createPrivateKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';
import { serve } from './lines.mjs';

const people = {
  ada: { email: 'ada@lab-a.example', email_verified: true, groups: ['lab-a'] },
  ben: { email: 'ben@lab-b.example', email_verified: false, groups: ['lab-b'] },
};

let options;
let issuer;
let provider;
let keys;
let failure = {};
let counts = {};

// What providers remember here outlives them, as a database would.
const stored = new Map();

class Adapter {
  constructor(name) {
    this.name = name;
  }

  async upsert(id, payload) {
    stored.set(`${this.name}:${id}`, payload);
  }

  async find(id) {
    return stored.get(`${this.name}:${id}`);
  }

  async findByUid(uid) {
    return [...stored].find(([key, payload]) => key.startsWith(`${this.name}:`) && payload.uid === uid)?.[1];
  }

  async consume(id) {
    stored.get(`${this.name}:${id}`).consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    stored.delete(`${this.name}:${id}`);
  }

  async revokeByGrantId(grantId) {
    for (const [key, payload] of stored) if (payload.grantId === grantId) stored.delete(key);
  }
}

function key() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const jwk = privateKey.export({ format: 'jwk' });
  return { ...jwk, use: 'sig', alg: 'RS256', kid: createHash('sha256').update(jwk.n).digest('hex').slice(0, 16) };
}

function build() {
  provider = new Provider(issuer, {
    clients: options.clients.map((client) => ({
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      ...client,
    })),
    adapter: Adapter,
    jwks: { keys },
    cookies: { keys: [options.cookie_key] },
    claims: {
      openid: ['sub'],
      email: ['email', 'email_verified'],
      profile: ['groups'],
    },
    conformIdTokenClaims: options.userinfo ?? false,
    scopes: ['openid', 'email', 'profile', 'offline_access'],
    pkce: { required: () => true },
    features: {
      devInteractions: { enabled: false },
      jwtUserinfo: { enabled: true },
      revocation: {
        enabled: options.revocation ?? true,
        allowedPolicy: (ctx, client, token) => token.clientId === client.clientId,
      },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: (ctx, form) => {
          ctx.body = `<!doctype html><title>Sign out</title>${form}<button form="op.logoutForm" name="logout" value="yes">Yes, sign me out</button>`;
        },
      },
    },
    interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (ctx, id) => ({
      accountId: options.account ?? id,
      claims: () => ({ sub: id, ...(people[id] ?? { groups: ['lab-a'] }), ...(options.padding ? { groups: padding() } : {}), ...options.claims }),
    }),
    issueRefreshToken: async () => options.refresh ?? true,
    rotateRefreshToken: () => options.rotate ?? true,
    loadExistingGrant: async (ctx) => {
      const grant = new ctx.oidc.provider.Grant({
        clientId: ctx.oidc.client.clientId,
        accountId: ctx.oidc.session.accountId,
      });
      grant.addOIDCScope('openid email profile offline_access');
      await grant.save();
      return grant;
    },
    ttl: {
      AccessToken: 3600, AuthorizationCode: 60, Grant: 86400, IdToken: 86400, Interaction: 600,
      RefreshToken: 86400, Session: 86400,
    },
  });
  provider.use(async (ctx, next) => {
    await next();
    if (options.bare_refresh && ctx.oidc?.params?.grant_type === 'refresh_token') delete ctx.body.id_token;
    if (failure.id_token && ctx.oidc?.route === 'token' && ctx.body?.id_token) {
      ctx.body.id_token = changed(ctx.body.id_token);
    }
  });
  // An uncaught error of the provider's would be an answer without a reason.
  provider.on('server_error', (ctx, error) => console.error('openid_provider:', error));
}

// An ID token with other claims, under the provider's own signature.
function changed(token) {
  const [header, payload] = token.split('.');
  const claims = { ...JSON.parse(Buffer.from(payload, 'base64url')), ...failure.id_token };
  const text = `${header}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`;
  const key = createPrivateKey({ key: keys[0], format: 'jwk' });
  return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`;
}

function padding() {
  return Array.from({ length: options.padding }, (_, at) => `group-${at}-of-a-long-name`);
}

// Which of the provider's endpoints a path is.
function endpoint(path) {
  if (path === '/.well-known/openid-configuration') return 'discovery';
  return { '/jwks': 'keys', '/token': 'token', '/token/revocation': 'revocation', '/me': 'userinfo', '/auth': 'auth' }[path] ?? 'other';
}

function fail(kind, response) {
  switch (kind) {
    case 'error': response.writeHead(500).end('<h1>out of order</h1>'); return true;
    case 'slow': setTimeout(() => response.writeHead(200).end('{}'), 20_000).unref(); return true;
    case 'huge': response.writeHead(200, { 'content-type': 'application/json' }).end('"'.padEnd(600_000, 'x')); return true;
    case 'redirect': response.writeHead(302, { location: 'http://169.254.169.254/latest/meta-data/' }).end(); return true;
    case 'nonsense': response.writeHead(200, { 'content-type': 'application/json' }).end('[]'); return true;
    case 'signed': response.writeHead(200, { 'content-type': 'application/jwt' }).end('a.b.c'); return true;
    case 'drop': response.socket.destroy(); return true;
    default: return false;
  }
}

// Answers in place of the provider with its document, changed.
function forge(response) {
  const document = {
    issuer,
    authorization_endpoint: `${issuer}/auth`,
    token_endpoint: `${issuer}/token`,
    jwks_uri: `${issuer}/jwks`,
    response_types_supported: ['code'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256'],
    ...failure.document,
  };
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(document));
}

async function handle(request, response) {
  const { pathname } = new URL(request.url, issuer);
  const at = endpoint(pathname);
  counts[at] = (counts[at] ?? 0) + 1;
  if (at === 'token' && request.headers.authorization) counts.token_by_header = (counts.token_by_header ?? 0) + 1;
  if (at === 'discovery' && failure.document) return forge(response);
  if (fail(failure[at] ?? failure.all, response)) return undefined;
  const interaction = pathname.match(/^\/interaction\/([\w-]+)$/);
  if (!interaction) return provider.callback()(request, response);
  if (request.method === 'POST') {
    let body = '';
    for await (const chunk of request) body += chunk;
    const accountId = new URLSearchParams(body).get('login');
    const result = accountId
      ? { login: { accountId } }
      : { error: 'access_denied', error_description: 'End-User aborted' };
    return provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
  }
  response.writeHead(200, { 'content-type': 'text/html' }).end(
    '<!doctype html><title>Provider</title><form method="post"><label>Login <input name="login"></label><button>Continue</button></form>',
  );
  return undefined;
}

const actions = {
  async start(wanted) {
    options = { cookie_key: randomBytes(16).toString('hex'), ...wanted };
    const server = createServer((request, response) => {
      handle(request, response).catch((error) => {
        console.error('openid_provider:', error);
        if (!response.headersSent) response.writeHead(500);
        response.end();
      });
    });
    server.keepAliveTimeout = 60_000;
    await new Promise((done) => server.listen(options.port ?? 0, '127.0.0.1', 1024, done));
    issuer = `http://127.0.0.1:${server.address().port}`;
    keys = [key()];
    build();
    return { issuer };
  },
  // Changes options: rotate, refresh, padding, claims (in place of a person's), account (whoever
  // asks), bare_refresh (without an ID token). What is fixed once a provider runs is for `start`: userinfo.
  async change(wanted) {
    options = { ...options, ...wanted };
    return {};
  },
  // A new signing key; the former one is withdrawn at once.
  async rotate_keys() {
    keys = [key()];
    build();
    return {};
  },
  // Which endpoint fails how: {"token": "error"}; {"id_token": {"aud": …}} for other claims; {} for none.
  async fail(wanted) {
    failure = wanted;
    return {};
  },
  // What was asked how often, since the last time.
  async counts() {
    const counted = counts;
    counts = {};
    return counted;
  },
};

await serve(async (request) => {
  const [name] = Object.keys(request);
  if (!actions[name]) throw new Error(`there is no action ${name}`);
  return actions[name](request[name]);
});
process.exit(0);
