"""What the benchmarks of the app share: `app.py` in a process of its own, asked over HTTP as programs ask it (upload, then the named endpoint `/predict`)."""
import json, os, signal, socket, subprocess, sys, tempfile, time
from contextlib import closing
from pathlib import Path

import httpx

from common import memory_mib

class Refused(Exception):
    "What the server said instead of a result: an HTTP status, or an event of the endpoint"
    def __init__(self, status, text): super().__init__(f'{status} {text}'); self.status, self.text = status, text

def size_mb(folder): return sum(f.lstat().st_size for f in Path(folder).rglob('*') if not f.is_dir()) / 1e6

def free_port():
    with closing(socket.socket()) as s: s.bind(('127.0.0.1', 0)); return s.getsockname()[1]

class Server:
    "`app.py` of a folder, running; `disk` becomes its temporary folder"
    def __init__(self, folder, disk, python=sys.executable, **variables):
        self.disk, self.port, self.log = Path(disk), free_port(), tempfile.TemporaryFile('w+')
        self.disk.mkdir(parents=True, exist_ok=True)
        keep = {k: v for k, v in os.environ.items() if not k.startswith(('FFON_', 'GRADIO_', 'PYTHON')) and k != 'VIRTUAL_ENV'}
        env = keep | dict(GRADIO_SERVER_PORT=str(self.port), GRADIO_ANALYTICS_ENABLED='False', TMPDIR=str(self.disk), HOME=str(self.disk), HF_HUB_OFFLINE='1') | variables
        self.born = time.perf_counter()
        self.process = subprocess.Popen([python, 'app.py'], cwd=folder, env=env, stdout=self.log, stderr=subprocess.STDOUT)
        self.web = httpx.Client(base_url=f'http://127.0.0.1:{self.port}', timeout=120)

    def up(self):
        try: return self.web.get('/health').status_code == 200
        except httpx.TransportError: return False

    def age(self): return time.perf_counter() - self.born

    def __enter__(self):
        while not self.up():
            if self.process.poll() is not None or self.age() > 180: raise SystemExit(f'app.py did not start:\n{self.said()}')
            time.sleep(.02)
        self.started = self.age()
        return self

    def said(self):
        self.log.seek(0); return self.log.read()

    def upload(self, data, name='photo.jpg', web=None):
        "Where an upload lies; raises `Refused`"
        r = (web or self.web).post('/gradio_api/upload', files=[('files', (name, data))])
        if r.status_code != 200: raise Refused(r.status_code, r.text)
        return r.json()[0]

    def ask(self, path, web=None, endpoint='predict'):
        "The endpoint's answer for an upload; raises `Refused`"
        web = web or self.web
        r = web.post(f'/gradio_api/call/{endpoint}', json=dict(data=[dict(path=path, meta=dict(_type='gradio.FileData'))]))
        if r.status_code != 200: raise Refused(r.status_code, r.text)
        event, data = web.get(f'/gradio_api/call/{endpoint}/{r.json()["event_id"]}').text.strip().rsplit('event: ', 1)[1].split('\ndata: ', 1)
        if event != 'complete': raise Refused(event, data)
        return json.loads(data)[0]

    def predict(self, data, name='photo.jpg', web=None): return self.ask(self.upload(data, name, web), web)

    def memory_mib(self):
        "Resident memory now and at most, in MiB; Linux only"
        held = {name: memory_mib(key, self.process.pid) for name, key in dict(rss='VmRSS', peak='VmHWM').items()}
        return {name: mib and round(mib) for name, mib in held.items()}

    def files(self): return sum(f.is_file() and 'matplotlib' not in f.parts for f in self.disk.rglob('*'))   # its list of fonts, where it is installed

    def stop(self):
        "Ask it to stop as a container does: seconds it took, files it left"
        start = time.perf_counter()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        return time.perf_counter() - start, self.files()

    def __exit__(self, *error):
        if self.process.poll() is None: self.process.kill()
        self.web.close()
