// Who sends a request, and what they may do. Nginx calls these functions: js_set for variables, js_content for answers.
// It must run with njs 0.7.9 (Debian 12): no `for … of`, no destructuring, and nothing asynchronous in variables.
import crypto from 'crypto';
import fs from 'fs';
import querystring from 'querystring';

const NAME = /^[a-z0-9][a-z0-9_-]{0,39}$/;
const KEY = /^[A-Za-z0-9_-]{24,128}$/;
const SESSION = /^[0-9a-f]{64}$/;
const TIERS = ['low', 'normal', 'high'];
const SCOPES = ['score', 'outcomes', 'read', 'deploy'];
const SESSION_HOURS = 12;
const SESSIONS_PER_KEY = 20;
const SESSIONS = 1000;
// Paths that read although they are requested by POST: their arguments are long. No part of them is a client's own text, as
// the end of an artifact's path is.
const READS_BY_POST = {
  mlflow: /^\/(graphql|(ajax-)?api\/\d\.\d\/mlflow\/([a-z-]+\/)+(search|get-online-stats))$/,
  prefect: /^\/api\/([A-Za-z0-9_-]+\/)+(filter|count|paginate|history)$/,
  prometheus: /^\/api\/v1\/(query|query_range|query_exemplars|labels|series)$/,
};
const TITLES = {
  400: 'Bad Request', 401: 'Unauthorized', 403: 'Forbidden', 404: 'Not Found', 405: 'Method Not Allowed',
  408: 'Request Timeout', 411: 'Length Required', 413: 'Content Too Large', 414: 'URI Too Long',
  421: 'Misdirected Request', 429: 'Too Many Requests', 431: 'Request Header Fields Too Large',
  500: 'Internal Server Error', 501: 'Not Implemented', 503: 'Service Unavailable', 505: 'HTTP Version Not Supported',
};

// --- Who ----------------------------------------------------------------------------------------------------------

function hash(text) {
  return crypto.createHash('sha256').update(text).digest('hex');
}

// What a JSON file of ours contains, or null: if the file is missing, the key was revoked or the session has ended.
function read(path) {
  try {
    return JSON.parse(fs.readFileSync(path, 'utf8'));
  } catch (e) {
    return null;
  }
}

// The entry of a key by its hash: {name, scopes, rate}, or null if it is unknown, has expired or is not valid.
function entry(r, digest) {
  const found = read(`${r.variables.keys_folder}/${digest}`);
  if (!found) return null;
  const valid = NAME.test(found.name) && TIERS.indexOf(found.rate) >= 0 && Array.isArray(found.scopes)
    && found.scopes.every(scope => SCOPES.indexOf(scope) >= 0);
  if (!valid) {
    r.error(`the key file ${digest} is not valid: revoke that key and make another one`);
    return null;
  }
  // A key whose end cannot be read counts as expired.
  return found.expires_at === undefined || Date.parse(found.expires_at) > Date.now() ? found : null;
}

// The token that an Authorization header carries (Bearer, or Basic's password), or ''.
function token(authorization) {
  const parts = (authorization || '').match(/^ *([A-Za-z]+) +(\S+) *$/);
  if (!parts) return '';
  const scheme = parts[1].toLowerCase();
  if (scheme === 'bearer') return parts[2];
  if (scheme !== 'basic') return '';
  const user = Buffer.from(parts[2], 'base64').toString();
  return user.slice(user.indexOf(':') + 1);
}

function keyEntry(r, key) {
  return KEY.test(key) ? entry(r, hash(key)) : null;
}

// The id of the session in a request's cookie, or ''.
function sessionId(r) {
  const wanted = `${r.variables.session_cookie}=`;
  const found = (r.headersIn['Cookie'] || '').split(/; */).filter(part => part.indexOf(wanted) === 0);
  const id = found.length === 1 ? found[0].slice(wanted.length) : '';
  return SESSION.test(id) ? id : '';
}

function sessionFile(r, id) {
  return `${r.variables.sessions_folder}/${hash(id)}`;
}

function sessionEntry(r) {
  const id = sessionId(r);
  const session = id ? read(sessionFile(r, id)) : null;
  return session && session.ends > Date.now() ? entry(r, session.key) : null;
}

// $who: "name tier key|session scopes" of a request; empty if nobody known sent it.
function who(r) {
  const explicit = r.headersIn['X-API-Key'];
  let kind = 'key';
  let found = keyEntry(r, explicit || token(r.headersIn['Authorization']));
  // An Authorization that is no key of ours may be meant for the service behind this gateway.
  if (!found && explicit === undefined) {
    kind = 'session';
    found = sessionEntry(r);
  }
  return found ? `${found.name} ${found.rate} ${kind} ${found.scopes.join(',')}` : '';
}

// $forwarded_cookie: the cookies of a request without our own, which no service needs to know.
function forwardedCookie(r) {
  const own = `${r.variables.session_cookie}=`;
  return (r.headersIn['Cookie'] || '').split(/; */).filter(part => part.indexOf(own) !== 0).join('; ');
}

// --- What they may do ---------------------------------------------------------------------------------------------

function reads(r) {
  return r.method === 'GET' || r.method === 'HEAD' || r.method === 'OPTIONS';
}

// The path of a request below its service's prefix, as Nginx decoded it.
function below(r) {
  return r.variables.path.slice(r.variables.prefix.length) || '/';
}

// Scopes of which one is needed, by service, method and path.
function needed(r) {
  const path = below(r);
  switch (r.variables.service) {
    case 'scorer':
      if (path === '/readyz' || path === '/ping') return ['read', 'deploy'];
      if (reads(r)) return ['read'];
      return path === '/outcomes' ? ['outcomes'] : ['score'];
    case 'insurance':
    case 'web_service':
      return [reads(r) ? 'read' : 'score'];
    case 'grafana': // it has users of its own, and reads by POST
      return ['read'];
    case 'localstack':
      return ['deploy'];
  }
  if (path === '/readyz') return ['read', 'deploy'];
  const byPost = READS_BY_POST[r.variables.service];
  return [reads(r) || (r.method === 'POST' && byPost && byPost.test(path)) ? 'read' : 'deploy'];
}

function missing(r) {
  const has = r.variables.who.split(' ')[3].split(',');
  const wanted = needed(r);
  return wanted.some(scope => has.indexOf(scope) >= 0) ? '' : wanted.join(' or ');
}

// The Origin of a request if pages of that other site may use the scorer (CORS_ORIGINS), or ''.
function guest(r) {
  const origin = r.headersIn['Origin'] || '';
  const known = r.variables.service === 'scorer' && r.variables.cors_origins.split(',').indexOf(origin) >= 0;
  return known ? origin : '';
}

// Whether a browser asks, without a key, what a page of such a site may send.
function preflight(r) {
  return r.method === 'OPTIONS' && r.headersIn['Access-Control-Request-Method'] !== undefined && guest(r) !== '';
}

// Whether a page of another site makes a browser send this, and it changes something or opens a WebSocket.
function foreign(r) {
  const origin = r.headersIn['Origin'];
  if (origin === undefined || (reads(r) && !r.headersIn['Upgrade']) || guest(r)) return false;
  return origin.replace(/^https?:\/\//, '').toLowerCase() !== (r.headersIn['Host'] || '').toLowerCase();
}

// Whether Host is a name that no other site can point here: an IP address, localhost, one without a dot, an allowed one.
function ownHost(r) {
  const host = (r.headersIn['Host'] || '').toLowerCase().replace(/:\d+$/, '');
  const address = /^(\d{1,3}(\.\d{1,3}){3}|\[[0-9a-f:.]+\])$/;
  return address.test(host) || /^[a-z0-9_-]+$/.test(host) || r.variables.allowed_hosts.split(',').indexOf(host) >= 0;
}

function sendsSecret(r) {
  const secret = r.variables.service_secret;
  return secret !== '' && hash(token(r.headersIn['Authorization'])) === hash(secret);
}

// $refusal: the status with which a request is refused; none if it may pass. It is empty if this function fails. A preflight
// is answered in the same way, with 418 for what becomes 200.
function refusal(r) {
  const mode = r.variables.mode;
  if (preflight(r)) return mode !== 'open' || ownHost(r) ? '418' : '421';
  if (mode !== 'public' && sendsSecret(r)) return 'none';
  if (mode === 'open') {
    if (!ownHost(r)) return '421';
    return foreign(r) ? '403' : 'none';
  }
  if (!r.variables.who) return '401';
  if (foreign(r)) return '403';
  if (mode === 'public' && below(r) === '/metrics') return '404';
  return missing(r) ? '403' : 'none';
}

// --- Answers ------------------------------------------------------------------------------------------------------

function detail(r, status) {
  const v = r.variables;
  switch (status) {
    case 400: return 'this is not a valid HTTP request';
    case 401: return 'the key is missing, unknown, revoked or expired: send one as `X-API-Key: KEY` or `Authorization: Bearer KEY`';
    case 403:
      if (foreign(r)) return 'a page of another site must not send this: its Origin is not this host, nor in CORS_ORIGINS';
      return `the key ${v.caller} lacks the scope ${missing(r)}: use a key that has it`;
    case 404: return 'not found';
    case 413: return `the body must not exceed ${v.most_bytes} bytes`;
    case 421: return 'this port does not answer to that host name: use an IP address or localhost, or add the name to ALLOWED_HOSTS';
    case 429:
      if (v.limit_conn_status === 'REJECTED') return 'too many requests at once, or too many large ones: wait for answers before you send more';
      if (!v.tier) return 'too many requests from this address: wait, then try again';
      return `the key ${v.caller} has tier ${v.tier}, which allows ${v.tier_rate} requests per second`;
    case 503:
      if (['grafana', 'insurance'].includes(v.service) && !v.pages.split(' ').includes(v.service)) {
        return `the profile ${v.service} of this stack was not started; add it to COMPOSE_PROFILES, then run make up`;
      }
      return `the service ${v.service || 'behind this gateway'} is busy or unavailable; try again`;
  }
  return (TITLES[status] || 'error').toLowerCase();
}

function escaped(text) {
  return `${text}`.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;');
}

// A page: page.html around `body`, which is HTML.
function page(r, title, body, head) {
  const frame = fs.readFileSync(`${r.variables.gateway_files}/page.html`, 'utf8');
  const parts = { title: escaped(title), head: head || '', body: body };
  return frame.replace(/@(title|head|body)@/g, (_, name) => parts[name]);
}

function setPageHeaders(r) {
  r.headersOut['Content-Type'] = 'text/html; charset=utf-8';
  r.headersOut['Cache-Control'] = 'no-store';
  r.headersOut['X-Content-Type-Options'] = 'nosniff';
  r.headersOut['Referrer-Policy'] = 'same-origin';
  r.headersOut['Content-Security-Policy'] =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
}

function show(r, status, title, body) {
  setPageHeaders(r);
  r.return(status, page(r, title, body));
}

function isBrowser(r) {
  return (r.headersIn['Accept'] || '').indexOf('text/html') >= 0;
}

// $answer: the body of what Nginx answers itself. $code is its status.
function answer(r) {
  const status = Number(r.variables.code);
  if (status === 418) return '';
  const title = TITLES[status] || 'Error';
  const why = detail(r, status);
  if (!isBrowser(r)) return JSON.stringify({ type: 'about:blank', title: title, status: status, detail: why });
  if (status === 401 && reads(r)) {
    // A person's browser is sent to the login by a page, not by a redirect, because a browser that follows a link of
    // another site sends our cookie only from a page of our own.
    const login = escaped(`/login?next=${encodeURIComponent(r.variables.request_uri)}`);
    return page(r, 'Sign in', `<p><a href="${login}">Sign in</a> to see this page.</p>`,
      `<meta http-equiv="refresh" content="0; url=${login}">`);
  }
  const ways = r.variables.mode === 'open' ? ''
    : '<p class="more"><a href="/pages">All pages</a> <a href="/login">Sign in with another key</a></p>';
  return page(r, title, `<h1>${escaped(title)}</h1><p>${escaped(why[0].toUpperCase() + why.slice(1))}.</p>${ways}`);
}

// CORS: lets a page of an allowed site read an answer (https://fetch.spec.whatwg.org).
function share(r) {
  const origin = guest(r);
  if (!origin) return;
  r.headersOut['Access-Control-Allow-Origin'] = origin;
  r.headersOut['Access-Control-Expose-Headers'] = 'Retry-After';
  r.headersOut['Vary'] = 'Origin';
}

// CORS: what such a page may send.
function allow(r) {
  r.headersOut['Access-Control-Allow-Methods'] = 'GET, HEAD, POST';
  r.headersOut['Access-Control-Allow-Headers'] = 'Authorization, Content-Encoding, Content-Type, X-API-Key';
  r.headersOut['Access-Control-Max-Age'] = '7200';
}

function answerHeaders(r) {
  const status = Number(r.variables.code);
  share(r);
  if (status === 418) return allow(r);
  r.status = status;
  if (isBrowser(r)) setPageHeaders(r);
  else r.headersOut['Content-Type'] = 'application/problem+json';
  if (status === 429) r.headersOut['Retry-After'] = '1';
  if (status === 503) r.headersOut['Retry-After'] = '2';
  if (status === 401) r.headersOut['WWW-Authenticate'] = 'Bearer realm="scorehouse"';
}

function alive(r) {
  r.headersOut['Content-Type'] = 'application/json';
  r.return(200, '{"status":"alive"}');
}

// --- Sessions of people -------------------------------------------------------------------------------------------

// Where to go after the login: a path of this host and nothing else.
function safePath(path) {
  return /^\/(?![\/\\])[\x21-\x5b\x5d-\x7e]{0,1000}$/.test(path || '') ? path : '/pages';
}

function showLogin(r, status, next, why) {
  const alarm = why ? `<p class="wrong" role="alert" id="wrong">${escaped(why)}</p>` : '';
  show(r, status, 'Sign in', `<h1>Sign in</h1>
<p>Use an API key with the scope <code>read</code>. You stay signed in for ${SESSION_HOURS} hours.</p>
<form method="post" action="/login">
${alarm}<label for="key">Key</label>
<input id="key" name="key" type="password" autocomplete="current-password" required autofocus spellcheck="false"${why ? ' aria-invalid="true" aria-describedby="wrong"' : ''}>
<input type="hidden" name="next" value="${escaped(next)}">
<button>Sign in</button>
</form>
<p class="hint">No key? Ask the people who run this stack to make one: <code>make key NAME=you SCOPES=read</code></p>`);
}

function setCookie(r, value, seconds) {
  const secure = r.variables.https ? '; Secure' : '';
  r.headersOut['Set-Cookie'] =
    [`${r.variables.session_cookie}=${value}; Path=/; Max-Age=${seconds}; HttpOnly; SameSite=Strict${secure}`];
}

function remove(path) {
  try {
    fs.unlinkSync(path);
  } catch (e) { // another worker removed it
  }
}

// Remove sessions that ended, and this key's oldest ones if it has too many. Returns whether there is room for another.
function makeRoom(r, digest) {
  const folder = r.variables.sessions_folder;
  const own = [];
  let live = 0;
  fs.readdirSync(folder).forEach(name => {
    const path = `${folder}/${name}`;
    const session = read(path);
    if (!session || !(session.ends > Date.now()) || !entry(r, session.key)) return remove(path);
    live += 1;
    if (session.key === digest) own.push({ path: path, ends: session.ends });
  });
  own.sort((a, b) => a.ends - b.ends).slice(0, Math.max(0, own.length - SESSIONS_PER_KEY + 1)).forEach(old => {
    remove(old.path);
    live -= 1;
  });
  return live < SESSIONS;
}

function signIn(r) {
  const form = querystring.parse(r.requestText || '');
  const key = `${form.key || ''}`.trim();
  const next = safePath(form.next);
  if (foreign(r)) return r.return(403);
  const found = keyEntry(r, key);
  if (!found) return showLogin(r, 401, next, 'This key is unknown, revoked or expired. Check that you pasted all of it.');
  if (found.scopes.indexOf('read') < 0) {
    return showLogin(r, 403, next, 'This key lacks the scope read, which pages need. Use another key.');
  }
  const digest = hash(key);
  if (!makeRoom(r, digest)) return showLogin(r, 503, next, 'Too many people are signed in. Try again later.');
  const random = new Uint8Array(32);
  globalThis.crypto.getRandomValues(random);
  const id = Buffer.from(random).toString('hex');
  const session = { key: digest, ends: Date.now() + SESSION_HOURS * 3600000 };
  // Written under another name first, so that no other worker reads half of it and removes it.
  const unfinished = `${r.variables.unfinished_folder}/${hash(id)}`;
  fs.writeFileSync(unfinished, JSON.stringify(session), { mode: 0o600 });
  fs.renameSync(unfinished, sessionFile(r, id));
  setCookie(r, id, SESSION_HOURS * 3600);
  r.return(303, next);
}

function login(r) {
  if (r.method === 'POST') return signIn(r);
  const next = safePath(r.args.next);
  if (sessionEntry(r)) return r.return(303, next);
  showLogin(r, 200, next, '');
}

function logout(r) {
  if (foreign(r)) return r.return(403);
  const id = sessionId(r);
  if (id) remove(sessionFile(r, id));
  setCookie(r, '', 0);
  r.return(303, '/login');
}

const ABOUT = {
  monitor: ['Monitor', 'what drifts, since when, and by how much'],
  reports: ['Reports', 'what drifted, and how good the predictions were'],
  grafana: ['Grafana', 'dashboards: health, drift, scoring, streams and training'],
  mlflow: ['MLflow', 'trials and models, with the data they were trained on'],
  insurance: ['Insurance', 'offers for new and existing customers'],
};

// The page that links to all others.
function pages(r) {
  const offered = r.variables.pages.split(' ').filter(name => name).map(name => {
    const about = ABOUT[name] || [name, ''];
    return [`/${name}/`, about[0], about[1]];
  });
  const links = [['/', 'Try the model', 'a form, made from the schema of the serving model'],
    ['/docs', 'API', 'how programs request predictions']].concat(offered);
  const items = links.map(link => `<li><a href="${link[0]}"><b>${escaped(link[1])}</b><span>${escaped(link[2])}</span></a></li>`);
  show(r, 200, 'Pages', `<h1>Pages</h1><ul class="pages">${items.join('')}</ul>
<form method="post" action="/logout" class="quiet"><p>You are signed in as <b>${escaped(r.variables.caller)}</b>.</p><button>Sign out</button></form>`);
}

export default { who, forwardedCookie, refusal, answer, answerHeaders, share, alive, login, logout, pages };
