#!/usr/bin/env python
"""The app under load: `app.py` in a process of its own, 16 clients, 2,000 requests over HTTP (upload, then `/predict`), good files and bad ones mixed.

Every answer is compared with what must come: the detector's own score within 1e-6, or the right refusal. Reported: unexpected answers, p50 and p95 in seconds and as multiples of one request on
the idle server, answers that say that the queue is full (those are asked again, and counted), what `/health` took meanwhile, memory after a warm-up, at the end and at most, files on the disk while it runs, after the
time uploads are kept, and after a stop; then a burst of 4 times as many clients as may wait. Photos come from the folder FFON_SHARED names where it is there, and are drawn otherwise; the last line is JSON;
exit status 1 after an unexpected answer, a file that is left or an error in the server's log.

    python benchmarks/app_load.py [--n 200]"""
import argparse, csv, io, random, struct, sys, tempfile, threading, time, zipfile, zlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

from common import result, say, shared_dir
from serving import Refused, Server

KEEP, MOST_MB = 30, 5

def png(width, height, data):
    "A PNG that declares `width` x `height` pixels and holds `data`"
    chunk = lambda kind, d: struct.pack('>I', len(d)) + kind + d + struct.pack('>I', zlib.crc32(kind + d))
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)) + chunk(b'IDAT', zlib.compress(data)) + chunk(b'IEND', b'')

def photos(n, seed):
    "Real photos where they are, drawn ones otherwise, and three as large as a phone's"
    from face_fake_or_not.sources import synthetic_face
    items, r = shared_dir()/'data'/'items.csv', random.Random(seed)
    out = [synthetic_face('real', 'synthetic_phone', 160 + 40*(i % 12), i) for i in range(n)]
    if items.exists():
        with items.open(encoding='utf8') as f: rows = list(csv.DictReader(f))
        out = [(items.parent/o['path']).read_bytes() for o in r.sample(rows, n)]
    for i, size in enumerate([(1500, 2000), (3000, 2250), (4000, 3000)]):
        buf = io.BytesIO(); Image.open(io.BytesIO(out[i])).convert('RGB').resize(size).save(buf, 'JPEG', quality=90); out.append(buf.getvalue())
    return out

def bad_files(good):
    "Name -> bytes, and what must be said of them: a piece of the endpoint's error, or the status of the upload"
    noise = np.random.default_rng(0).integers(0, 256, 2000, np.uint8).tobytes()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, 'w') as z: z.writestr('a.jpg', good)
    return {'cut.jpg': (good[:len(good)//2], 'cannot be decoded'), 'broken.jpg': (good[:300] + noise + good[2300:], ''), 'text.jpg': (b'This is no photo.', 'not an image'), 'empty.jpg': (b'', 'empty'),
            'bomb.png': (png(30_000, 30_000, b'\0'), 'pixels'), 'large.png': (png(12_000, 12_000, b'\0'), 'over the limit'), 'hollow.png': (png(900, 900, b'\0'), 'cannot be decoded'), 'zip.jpg': (archive.getvalue(), 'not an image'),
            'drawing.svg': (b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>', 'not an image'), 'noise.webp': (noise, 'not an image'), 'heavy.jpg': (good + bytes((MOST_MB + 1) << 20), 413), '../../up.jpg': (b'x', 'not an image')}

class Load:
    "Clients that ask for `jobs` at the same time, and remember what they were told"
    def __init__(self, server, clients):
        self.server, self.clients, self.local, self.lock = server, clients, threading.local(), threading.Lock()
        self.wrong, self.times, self.full, self.off = [], dict(good=[], bad=[]), 0, 0.

    def one(self, job):
        "One request, again for as long as the queue is full"
        name, data, must = job
        if not hasattr(self.local, 'web'): self.local.web = httpx.Client(base_url=self.server.web.base_url, timeout=300)
        start = time.perf_counter()
        while True:
            try: got = self.server.predict(data, name, self.local.web)
            except Refused as e:
                if e.status == 503: self.full += 1; time.sleep(1); continue
                got = e
            except Exception as e: got = e
            break
        with self.lock:
            self.times['good' if isinstance(must, float) else 'bad'].append(time.perf_counter() - start)
            self.check(name, got, must)

    def check(self, name, got, must):
        "Remember an answer that should not have come"
        if isinstance(must, float) and isinstance(got, dict): self.off = max(self.off, abs(got['score'] - must)); ok = abs(got['score'] - must) < 1e-6
        elif isinstance(must, int): ok = isinstance(got, Refused) and got.status == must
        elif must == '': ok = isinstance(got, dict) or isinstance(got, Refused) and got.status == 'error'     # some decoders forgive a broken file
        else: ok = isinstance(got, Refused) and got.status == 'error' and isinstance(must, str) and must in got.text
        if not ok: self.wrong.append((name, repr(got)[:200]))

    def run(self, jobs):
        "All of them; seconds it took"
        start = time.perf_counter()
        with ThreadPoolExecutor(self.clients) as pool:
            for i, _ in enumerate(pool.map(self.one, jobs), 1):
                if not i % 100: say(f'{i} of {len(jobs)}: {len(self.wrong)} unexpected, {i/(time.perf_counter() - start):.1f} a second, {self.server.memory_mib()}')
        return time.perf_counter() - start

class Pulse(threading.Thread):
    "Asks `/health` and counts the files, twice a second"
    def __init__(self, server): super().__init__(daemon=True); self.server, self.took, self.files, self.on = server, [], 0, True
    def run(self):
        with httpx.Client(base_url=self.server.web.base_url, timeout=60) as web:
            while self.on:
                start = time.perf_counter(); web.get('/health').raise_for_status(); self.took.append(time.perf_counter() - start)
                self.files = max(self.files, self.server.files()); time.sleep(.5)

def main():
    "Load it, let it rest, flood it, stop it; the last line is JSON"
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--n', type=int, default=2000, help='requests'); p.add_argument('--clients', type=int, default=16)
    p.add_argument('--bad', type=float, default=.3, help='share of bad files'); p.add_argument('--seed', type=int, default=0)
    args = p.parse_args()
    from face_fake_or_not.detector import load_detector
    detector, good, r = load_detector(), photos(60, args.seed), random.Random(args.seed)
    right = [(f'photo{i}.jpg', o, detector.predict(o).score) for i, o in enumerate(good)]
    wrong = [(name, data, must) for name, (data, must) in bad_files(good[0]).items()]
    jobs = [r.choice(wrong if r.random() < args.bad else right) for _ in range(args.n)]
    with tempfile.TemporaryDirectory() as tmp, Server(Path(__file__).resolve().parents[1], tmp, FFON_KEEP_SECONDS=str(KEEP), FFON_MAX_UPLOAD_MB=str(MOST_MB)) as server:
        alone = Load(server, 1); alone.run([right[i % len(right)] for i in range(20)])
        before, load, pulse = server.memory_mib(), Load(server, args.clients), Pulse(server)
        pulse.start(); seconds = load.run(jobs); pulse.on = False
        after = server.memory_mib(); say(f'{load.wrong[:5]}')
        time.sleep(KEEP*1.5 + 1); kept = server.files()
        burst = Load(server, 128); burst.run([right[i % 20] for i in range(256)])
        peak, (stop, left) = server.memory_mib()['peak'], server.stop()
        said = server.said()
        if 'Traceback' in said: say(said[-4000:])
        errors = Counter(l.split(':', 1)[0] for l in said.splitlines() if 'Traceback' in l or l.startswith('ERROR'))
    wrong = alone.wrong + load.wrong + burst.wrong
    at = lambda x, q: round(float(np.quantile(x, q)), 3) if x else None
    one = at(alone.times['good'], .5)
    result('app_load', requests=args.n, clients=args.clients, good=len(load.times['good']), bad=len(load.times['bad']), unexpected=len(wrong), examples=wrong[:5],
           largest_score_difference=load.off, queue_full=load.full, seconds=round(seconds, 1), one_alone_s=one, p50_s=at(load.times['good'], .5), p95_s=at(load.times['good'], .95),
           p50_of_one_alone_times_clients=round(at(load.times['good'], .5) / one / args.clients, 2), bad_p50_s=at(load.times['bad'], .5), bad_p95_s=at(load.times['bad'], .95),
           health_p50_s=at(pulse.took, .5), health_max_s=at(pulse.took, 1), burst=dict(clients=128, requests=256, queue_full=burst.full, unexpected=len(burst.wrong)),
           rss_mib=dict(before=before['rss'], after=after['rss'], peak=peak), files=dict(most=pulse.files, after_keep=kept, after_stop=left), stop_s=round(stop, 2), errors_in_log=errors)
    sys.exit(bool(wrong or kept or left or errors))

if __name__ == '__main__': main()
