"""A small server that speaks Kaggle's and the Hub's protocols, for the tests of the notebooks: the real clients talk to it.

`Server()` listens on a free port of this machine. `server.kaggle[handle] = archive bytes`, `server.hub[repo_id] = {path: bytes}` for data sets,
`server.models[repo_id] = Repo()` for models, which can be written to: created, branched, committed to, with large files by way of a storage.
`server.log` holds what was asked. Trouble is ordered with `server.tokens`, `server.readers`, `server.gated`, `server.faults` and `server.lies`."""
import base64, contextlib, hashlib, http.server, json, os, re, sys, threading
from collections import Counter
from pathlib import Path
from urllib.parse import unquote, urlsplit

SHA = hashlib.sha1

def blob_id(data): return SHA(b'blob %d\0' % len(data) + data).hexdigest()

@contextlib.contextmanager
def private_home(home):
    "None of this machine's secrets and caches inside the block"
    import huggingface_hub.constants as hub
    before, files = dict(os.environ), (hub.HF_TOKEN_PATH, hub.HF_HUB_CACHE, hub.HF_HUB_DISABLE_TELEMETRY, hub.HF_HUB_DISABLE_XET)
    for k in list(os.environ):
        if k.startswith(('HF_', 'HUGGING_FACE', 'KAGGLE', 'OPENAI')): del os.environ[k]
    home = Path(home)
    home.mkdir(parents=True, exist_ok=True)
    os.environ.update(HOME=str(home), USERPROFILE=str(home), KAGGLE_CONFIG_DIR=str(home/'.kaggle'), KAGGLEHUB_CACHE=str(home/'kagglehub'))
    hub.HF_TOKEN_PATH, hub.HF_HUB_CACHE, hub.HF_HUB_DISABLE_TELEMETRY, hub.HF_HUB_DISABLE_XET = str(home/'token'), str(home/'hub'), True, True   # the server does not speak Xet
    try: yield home
    finally:
        os.environ.clear(); os.environ.update(before)
        hub.HF_TOKEN_PATH, hub.HF_HUB_CACHE, hub.HF_HUB_DISABLE_TELEMETRY, hub.HF_HUB_DISABLE_XET = files

class Repo:
    "A model's repository: its commits, and the branches that point at them"
    def __init__(self, private=False, **files):
        self.private, self.commits, self.messages, self.refs, self.pulls = private, {}, {}, {}, 0
        self.commit({k.replace('__', '.'): v for k, v in files.items()}, 'initial commit')

    def commit(self, files, message='', ref='main'):
        "A new commit that holds `files` and nothing else"
        sha = SHA(json.dumps([self.refs.get(ref), message, sorted((p, blob_id(d)) for p, d in files.items())]).encode()).hexdigest()
        self.commits[sha], self.messages[sha], self.refs[ref] = dict(files), message, sha
        return sha

    def at(self, rev=None):
        "The commit that a branch or a hash means, and its files; None where there is none"
        sha = self.refs.get(rev or 'main', rev)
        return (sha, self.commits[sha]) if sha in self.commits else None

    def changed(self, ref, **files):
        "A commit that replaces some files of a branch"
        return self.commit(self.at(ref)[1] | {k.replace('__', '.'): v for k, v in files.items()}, 'changed', ref)

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version, disable_nagle_algorithm = 'HTTP/1.1', True       # headers and body are two writes; do not wait 40 ms between them
    def log_message(self, *args): pass

    def answer(self, status, body=b'', **headers):
        "One whole answer"
        if not isinstance(body, bytes): body, headers = json.dumps(body).encode(), {'Content-Type': 'application/json', **headers}
        self.send_response(status)
        for k, v in headers.items(): self.send_header(k.replace('_', '-'), str(v))
        if 'Content-Length' not in headers: self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        if self.command != 'HEAD': self.wfile.write(body)

    def content(self, name, data, **headers):
        "A file, from the byte asked for; cut off half-way where a fault says so"
        m = re.match(r'bytes=(\d+)-(\d*)', self.headers.get('Range', ''))
        start, end = (int(m[1]), min(int(m[2] or len(data)), len(data) - 1)) if m else (0, len(data) - 1)
        part, fault = data[start:end + 1], self.server.fault(name, self.command)
        if isinstance(fault, int): return self.answer(fault, {'error': f'fault {fault}'})
        ok = 206 if m else 200
        if m: headers |= {'Content-Range': f'bytes {start}-{end}/{len(data)}'}
        if fault == 'drop':
            self.close_connection, n = True, len(part)
            self.server.sent[name] += n // 2
            return self.answer(ok, part[:n // 2], Accept_Ranges='bytes', **headers, **{'Content-Length': n})
        if self.command == 'GET': self.server.sent[name] += len(part)
        self.answer(ok, part, Accept_Ranges='bytes', **headers, **{'Content-Length': len(part)})

    def handle_any(self):
        path, kind = urlsplit(self.path).path, self.headers.get('Content-Type', '')
        raw = self.sent()
        body = raw if self.command == 'PUT' else [json.loads(l) for l in raw.splitlines()] if 'ndjson' in kind else json.loads(raw) if raw else {}
        self.server.log.append(' '.join(filter(None, [self.command, unquote(path), self.headers.get('Range')])))
        for pattern, method in self.ROUTES:                              # a slash within a name is %2F here, so it is matched before it is read
            if (m := re.fullmatch(pattern, path)): return getattr(self, method)(body, *(g and unquote(g) for g in m.groups()))
        self.answer(404, {'error': 'no such page'})
    do_GET = do_POST = do_HEAD = do_PUT = handle_any

    def sent(self):
        "What the caller sent, in one piece or in chunks"
        if 'chunked' not in self.headers.get('Transfer-Encoding', ''): return self.rfile.read(int(self.headers.get('Content-Length') or 0))
        out = b''
        while n := int(self.rfile.readline().split(b';')[0], 16): out += self.rfile.read(n); self.rfile.readline()
        self.rfile.readline()
        return out

    def refused(self):
        "Whether the caller must be turned away; answers it then"
        tokens, sent = self.server.tokens, self.headers.get('Authorization', '')
        if tokens is None: return False
        if sent.startswith('Basic '): sent = base64.b64decode(sent[6:]).decode()
        if sent.removeprefix('Bearer ') in tokens: return False
        self.answer(401, {'error': 'Invalid username or password.', 'code': 401, 'message': 'Unauthenticated'})
        return True

    # Kaggle: two calls and a redirect to a storage that wants no token
    def kaggle_get(self, body):
        handle = f"{body['ownerSlug']}/{body['datasetSlug']}"
        if self.refused(): return
        if handle in self.server.gated: return self.answer(403, {'code': 403, 'message': 'Permission denied'})
        if handle not in self.server.kaggle: return self.answer(404, {'code': 404, 'message': 'Not found'})
        self.answer(200, dict(ref=handle, currentVersionNumber=2, licenseName='CC0-1.0', totalBytes=len(self.server.kaggle[handle])))
    def kaggle_download(self, body):
        if self.refused(): return
        self.answer(302, Location=f"{self.server.storage}/gcs/{body['ownerSlug']}/{body['datasetSlug']}")
    def kaggle_file(self, body, handle):
        data = self.server.kaggle[handle]
        md5 = base64.b64encode(hashlib.md5(self.server.lies.get(handle, data)).digest()).decode()
        self.content(handle, data, **{'x-goog-hash': f'crc32c=AAAAAA==,md5={md5}', 'Content-Type': 'application/zip'})

    # the Hub: what there is, the tree, the file; large files come from a storage
    def hub_repo(self, repo, rev=None):
        "The repository's files, or None after an answer that says why not"
        error = lambda status, code: self.answer(status, {'error': code}, X_Error_Code=code)
        if self.refused(): return
        if repo in self.server.gated: return error(403, 'GatedRepo')
        if repo not in self.server.hub: return error(404, 'RepoNotFound')
        if rev not in (None, 'main', self.server.sha): return error(404, 'RevisionNotFound')
        return self.server.hub[repo]
    def hub_info(self, body, repo, rev=None):
        if (files := self.hub_repo(repo, rev)) is None: return
        self.answer(200, dict(id=repo, sha=self.server.sha, cardData=self.server.card, siblings=[dict(rfilename=f) for f in files], gated=False))
    def hub_tree(self, body, repo, rev, under=''):
        if (files := self.hub_repo(repo, rev)) is None: return
        entry = lambda p, d: dict(type='file', path=p, size=len(d), oid=blob_id(d)) | (dict(lfs=dict(oid=self.sha256(p, d), size=len(d), pointerSize=130)) if len(d) >= self.server.lfs else {})
        self.answer(200, [entry(p, d) for p, d in files.items() if p.startswith(under + '/' if under else '')])
    def sha256(self, path, data): return hashlib.sha256(self.server.lies.get(path, data)).hexdigest()
    def hub_file(self, body, repo, rev, path):
        if (files := self.hub_repo(repo, rev)) is None: return
        if path not in files: return self.answer(404, X_Error_Code='EntryNotFound')
        data, about = files[path], {'X-Repo-Commit': self.server.sha}
        if len(data) < self.server.lfs: return self.content(path, data, ETag=f'"{blob_id(data)}"', **about)
        sha = self.sha256(path, data)
        self.answer(302, Location=f'{self.server.storage}/cdn/{repo}/{path}', **about, **{'X-Linked-Etag': f'"{sha}"', 'X-Linked-Size': len(data)})
    def hub_storage(self, body, repo, path): self.content(path, self.server.hub[repo][path], ETag='"storage"')

    # the Hub's models: read at a revision, and written to
    def model(self, repo, rev=None, write=False):
        "The commit and its files, or None after an answer that says why not"
        error = lambda status, code: self.answer(status, {'error': code}, X_Error_Code=code)
        found, token = self.server.models.get(repo), self.headers.get('Authorization', '').removeprefix('Bearer ')
        known = self.server.tokens is not None and token in self.server.tokens
        if token and self.server.tokens is not None and not known: return self.answer(401, {'error': 'Invalid username or password.'})
        if write and self.server.tokens is not None and not known: return self.answer(401, {'error': 'Invalid username or password.'})
        if write and token in self.server.readers: return self.answer(403, {'error': 'Forbidden: this token may only read'})
        if found is None or found.private and not known: return error(404 if known or found is None else 401, 'RepoNotFound')
        if repo in self.server.gated: return error(403, 'GatedRepo')
        return found.at(rev) or error(404, 'RevisionNotFound')
    def model_info(self, body, repo, rev=None):
        if (at := self.model(repo, rev)) is None: return
        self.answer(200, dict(id=repo, sha=at[0], private=self.server.models[repo].private, siblings=[dict(rfilename=f) for f in at[1]], cardData={}, tags=[], downloads=0, gated=False))
    def model_entry(self, path, data): return dict(type='file', path=path, size=len(data), oid=blob_id(data)) | (dict(lfs=dict(oid=self.sha256(path, data), size=len(data), pointerSize=130)) if len(data) >= self.server.lfs else {})
    def model_tree(self, body, repo, rev, under=''):
        if (at := self.model(repo, rev)) is not None: self.answer(200, [self.model_entry(p, d) for p, d in at[1].items()])
    def model_file(self, body, repo, rev, path):
        if (at := self.model(repo, rev)) is None: return
        if path not in at[1]: return self.answer(404, X_Error_Code='EntryNotFound', X_Repo_Commit=at[0])
        data, about = at[1][path], {'X-Repo-Commit': at[0]}
        if len(data) < self.server.lfs: return self.content(path, data, ETag=f'"{blob_id(data)}"', **about)
        self.answer(302, Location=f'{self.server.storage}/objects/{repo}/{at[0]}/{path}', **about, **{'X-Linked-Etag': f'"{self.sha256(path, data)}"', 'X-Linked-Size': len(data)})
    def model_storage(self, body, repo, sha, path): self.content(path, self.server.models[repo].commits[sha][path], ETag='"storage"')

    def repo_create(self, body):
        repo = f"{body['organization']}/{body['name']}"
        if self.server.tokens is not None and self.headers.get('Authorization', '').removeprefix('Bearer ') not in self.server.tokens: return self.answer(401, {'error': 'Invalid username or password.'})
        there, url = repo in self.server.models, dict(url=f'{self.server.url}/{repo}', name=repo)
        if self.headers.get('Authorization', '').removeprefix('Bearer ') in self.server.readers: return self.answer(403, {'error': 'Forbidden: this token may only read'})
        if not there: self.server.models[repo] = Repo(body.get('visibility') == 'private' or bool(body.get('private')))
        self.answer(409 if there else 200, url | (dict(error='You already created this model repo') if there else {}))
    def repo_branch(self, body, repo, branch):
        if (at := self.model(repo, None, write=True)) is None: return
        refs = self.server.models[repo].refs
        if branch in refs: return self.answer(409, {'error': 'Reference already exists'})
        refs[branch] = at[0]
        self.answer(200, {})
    def yaml_check(self, body):
        "What the Hub asks of a card's front matter, in part"
        import yaml
        errors, m = [], re.match(r'---\n(.*?)\n---\n', body['content'], re.S)
        try: data = yaml.safe_load(m[1]) if m else {}
        except yaml.YAMLError as e: data, errors = {}, [str(e)]
        for model in data.get('model-index') or []:
            for r in model.get('results') or []:
                if not (r.get('task', {}).get('type') and r.get('dataset', {}).get('type') and r['dataset'].get('name') and r.get('metrics')): errors.append('model-index: a result lacks its task, dataset or metrics')
                errors += [f'model-index: metric {x}' for x in r.get('metrics') or [] if not x.get('type') or not isinstance(x.get('value'), (int, float, str)) or x['value'] != x['value']]
        self.answer(400 if errors else 200, dict(errors=[dict(message=e) for e in errors], warnings=[]))
    def preupload(self, body, repo, rev):
        if (at := self.model(repo, rev, write=True)) is None: return
        oid = lambda p: None if p not in at[1] else hashlib.sha256(at[1][p]).hexdigest() if len(at[1][p]) >= self.server.lfs else blob_id(at[1][p])
        self.answer(200, dict(files=[dict(path=f['path'], uploadMode='lfs' if f['size'] >= self.server.lfs else 'regular', shouldIgnore=False, oid=oid(f['path'])) for f in body['files']]))
    def lfs_batch(self, body, repo):
        if self.model(repo, None, write=True) is None: return
        todo = lambda oid: {} if oid in self.server.objects else dict(actions=dict(upload=dict(href=f'{self.server.storage}/upload/{oid}'), verify=dict(href=f'{self.server.url}/{repo}.git/verify')))
        self.answer(200, dict(transfer='basic', objects=[o | todo(o['oid']) for o in body['objects']]))
    def lfs_put(self, body, oid):
        fault = self.server.faults.get('upload') and self.server.faults['upload'].pop(0)
        if fault: return self.answer(fault, {'error': f'fault {fault}'})
        self.server.objects[hashlib.sha256(body).hexdigest()] = body
        self.answer(200)
    def lfs_verify(self, body, repo):
        ok = len(self.server.objects.get(body['oid'], b'')) == body['size']
        self.answer(200 if ok else 422, {} if ok else {'error': 'not what was announced'})
    def model_commit(self, body, repo, rev):
        if (at := self.model(repo, rev, write=True)) is None: return
        fault, store, head, files = self.server.faults.get('commit') and self.server.faults['commit'].pop(0), self.server.models[repo], body[0]['value'], dict(at[1])
        if fault: return self.answer(fault, {'error': f'fault {fault}'})
        if head.get('parentCommit') not in (None, at[0]): return self.answer(412, {'error': 'A commit has happened since. Please refresh and try again.'})
        for line in (l['value'] | dict(key=l['key']) for l in body[1:]):
            if line['key'] == 'file': files[line['path']] = base64.b64decode(line['content'])
            elif line['key'] == 'lfsFile': files[line['path']] = self.server.objects[line['oid']]
            elif line['key'] == 'deletedFile': del files[line['path']]
        ref = rev
        if (pull := 'create_pr=1' in self.path): store.pulls += 1; ref = f'refs/pr/{store.pulls}'
        sha = store.commit(files, head['summary'], ref)
        self.answer(200, dict(commitUrl=f'{self.server.url}/{repo}/commit/{sha}', commitOid=sha) | (dict(pullRequestUrl=f'{self.server.url}/{repo}/discussions/{store.pulls}') if pull else {}))

    # an OpenAI-compatible images endpoint: `server.draw(request)` gives a file's bytes, or (status, code, message)
    def images(self, body):
        error = lambda status, code, message, **headers: self.answer(status, dict(error=dict(message=message, type='invalid_request_error', param=None, code=code)), **headers)
        if self.server.tokens is not None and self.headers.get('Authorization', '').removeprefix('Bearer ') not in self.server.tokens: return error(401, 'invalid_api_key', 'Incorrect API key provided')
        fault = self.server.fault('images', 'GET')
        if fault == 'drop': self.close_connection = True; return self.answer(200, b'{"data": [{"b64', **{'Content-Length': 100})
        if isinstance(fault, tuple): return error(fault[0], 'fault', f'fault {fault[0]}', **fault[1])
        self.server.drawn.append(body)
        out = self.server.draw(body)
        if isinstance(out, tuple): return error(*out)
        if not self.server.as_url: return self.answer(200, dict(created=1, data=[dict(b64_json=base64.b64encode(out).decode())]))
        name = hashlib.sha256(out).hexdigest()[:12]
        self.server.made[name] = out
        self.answer(200, dict(created=1, data=[dict(url=f'{self.server.storage}/made/{name}', revised_prompt=None)]))
    def image_file(self, body, name): self.content(name, self.server.made[name])

    ROUTES = [(r'/v1/images/generations', 'images'), (r'/made/(.+)', 'image_file'), (r'/api/v1/datasets.DatasetApiService/GetDataset', 'kaggle_get'), (r'/api/v1/datasets.DatasetApiService/DownloadDataset', 'kaggle_download'),
              (r'/gcs/(.+)', 'kaggle_file'), (r'/api/datasets/([^/]+/[^/]+)', 'hub_info'), (r'/api/datasets/([^/]+/[^/]+)/revision/(.+)', 'hub_info'),
              (r'/api/datasets/([^/]+/[^/]+)/tree/([^/]+)(?:/(.+))?', 'hub_tree'), (r'/datasets/([^/]+/[^/]+)/resolve/([^/]+)/(.+)', 'hub_file'), (r'/cdn/([^/]+/[^/]+)/(.+)', 'hub_storage'),
              (r'/api/repos/create', 'repo_create'), (r'/api/validate-yaml', 'yaml_check'), (r'/api/models/([^/]+/[^/]+)', 'model_info'), (r'/api/models/([^/]+/[^/]+)/revision/([^/]+)', 'model_info'),
              (r'/api/models/([^/]+/[^/]+)/tree/([^/]+)(?:/(.+))?', 'model_tree'), (r'/api/models/([^/]+/[^/]+)/branch/([^/]+)', 'repo_branch'), (r'/api/models/([^/]+/[^/]+)/preupload/([^/]+)', 'preupload'),
              (r'/api/models/([^/]+/[^/]+)/commit/([^/]+)', 'model_commit'), (r'/([^/]+/[^/]+)\.git/info/lfs/objects/batch', 'lfs_batch'), (r'/([^/]+/[^/]+)\.git/verify', 'lfs_verify'),
              (r'/upload/(\w+)', 'lfs_put'), (r'/objects/([^/]+/[^/]+)/(\w+)/(.+)', 'model_storage'), (r'/([^/]+/[^/]+)/resolve/([^/]+)/(.+)', 'model_file')]

class Server(http.server.ThreadingHTTPServer):
    "Listens until `close()`; `faults = {name: ['drop', 503, ...]}` spoils the next transfers of a file, `lies = {name: other bytes}` its announced hash"
    daemon_threads = True
    def __init__(self):
        super().__init__(('127.0.0.1', 0), Handler)
        self.kaggle, self.hub, self.card, self.lfs, self.sha = {}, {}, {'license': 'cc-by-4.0'}, 1000, SHA(b'commit').hexdigest()
        self.tokens, self.readers, self.gated, self.faults, self.lies, self.log = None, set(), set(), {}, {}, []
        self.models, self.objects = {}, {}                       # repositories that can be written to; large files by their SHA-256
        self.sent = Counter()                                    # bytes of each file that went out
        self.draw, self.drawn, self.made, self.as_url = None, [], {}, False
        self.url, self.storage = f'http://127.0.0.1:{self.server_port}', f'http://localhost:{self.server_port}'
        threading.Thread(target=self.serve_forever, daemon=True).start()
        import kagglesdk.kaggle_env as env
        env._env_to_endpoint[env.KaggleEnv.LOCAL] = self.url      # KAGGLE_API_ENVIRONMENT=LOCALHOST means port 80 otherwise
        os.environ['KAGGLE_API_ENVIRONMENT'] = 'LOCALHOST'

    def fault(self, name, command):
        "What goes wrong with this transfer"
        if command == 'GET' and self.faults.get(name): return self.faults[name].pop(0)

    def asked(self, text):
        "The requests whose line holds `text`, in order"
        return [l for l in self.log if text in l]

    def handle_error(self, request, address):
        "A client that hangs up is part of the tests"
        if not isinstance(sys.exc_info()[1], ConnectionError): super().handle_error(request, address)

    def close(self): self.shutdown(); self.server_close()
