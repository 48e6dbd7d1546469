// An OpenID provider that others wrote and that is certified: `node oidc_provider.mjs PORT REDIRECT...`.
// Its pages to sign in are those that the package has for trying it out: any name and any password will do.
import { pathToFileURL } from 'node:url';

const [port, ...redirects] = process.argv.slice(2);
const entry = `${process.env.MODULES}/oidc-provider/lib/index.js`;
const { default: Provider } = await import(pathToFileURL(entry).href);

const provider = new Provider(`http://localhost:${port}`, {
  clients: [
    {
      client_id: 'shop',
      // Characters that mean something in forms and in credentials.
      client_secret: 'h+u s:h%20&=',
      redirect_uris: redirects,
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
    },
  ],
  claims: { openid: ['sub'], email: ['email'] },
  // Claims are in the ID token, not to be asked for once more.
  conformIdTokenClaims: false,
  cookies: { keys: ['story'] },
  pkce: { required: () => true, methods: ['S256'] },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: `${id}@example.test` }),
  }),
  issueRefreshToken: () => true,
  rotateRefreshToken: true,
  // Shorter than a session by far.
  ttl: { AccessToken: 60, IdToken: 60, RefreshToken: 3600, Grant: 3600, Session: 3600, Interaction: 600 },
});
provider.listen(Number(port), () => console.log('ready'));
process.stdin.on('end', () => process.exit()).resume();
