#!/usr/bin/env python
"""A pickle that runs a command when it is loaded, put through every way in: nothing may run it.

    python benchmarks/malicious.py [--quick]

The command writes a file, so what was executed can be seen. The pickle stands in every format that torch reads (a bare pickle, torch's old and its zip format) and in every place where a file is read: given as a detector, as
weights, as a recipe; named by the JSON beside a weights file; in a bundle's folder, beside good files and in their place, with a fitting sha256; as checkpoint, best weights, kept features and a half-done round's weights of a run; as
the only file of a repository on the Hub, served by a small server on this machine; uploaded as a photo. Each is tried through the functions in all three formats, through the commands (as processes of their own, the formats in turn) and through app.py.
The last trials are the control: with `trust=True`, `--trust` or its sha256 the same file does run, so a trial that runs nothing means something. Weights and runs are made here; nothing is downloaded.

Each trial says beforehand how it must end: `refused` with a phrase of ours in the error, or `without it`, all work done and the pickle left alone. Any other end is `unclear`. The exit status is 1 where something was executed or unclear. `--quick` leaves the commands out."""
import argparse, contextlib, itertools, json, os, pickle, shutil, socket, subprocess, sys, tempfile, time, urllib.request, warnings
from collections import Counter
from pathlib import Path

from common import result, say

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT/'nbs'))
ASK, HASH, NO_HASH, FETCH = 'a pickle can run any program when it is loaded', 'its sha256 is', 'is no sha256, which has 64', 'so it was not fetched'
KIND, LONE, ONNX, TEXT = 'is neither a bundle folder nor', 'no detector.json, so this is no bundle', 'ONNX Runtime cannot load it', "codec can't decode"
TENSORS, ELSEWHERE, STATE, CHANGED = ('cannot be read as weights', 'Weights only load failed'), 'not name weights from elsewhere', 'cannot be read (UnpicklingError)', 'does not match its sha256'
IMAGE, TABLE, BUNDLE = 'not an image in a format we read', ('cannot be read as a UTF-8 CSV', 'cannot be read as Parquet'), 'thresholds are kept in a bundle'
FINE = None                                        # it must work, without the pickle

class Evil:
    "Writes its name into a folder when it is unpickled"
    def __init__(self, mark): self.mark = mark
    def __reduce__(self): return os.system, (f'echo ran >> "{self.mark}"',)

class Trials:
    "What was tried, and what came of it"
    def __init__(self, tmp):
        import torch
        self.tmp, self.marks, self.rows = tmp, tmp/'marks', []
        self.marks.mkdir()
        self.forms = dict(pickle=lambda e, f: f.write_bytes(pickle.dumps(e)), old=lambda e, f: torch.save(e, f, _use_new_zipfile_serialization=False), zip=torch.save)

    def evil(self, file, form='pickle'):
        "Write the pickle to `file`; its mark is named after it"
        file = Path(file)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        self.forms[form](Evil(self.marks/f'{len(self.rows)}'), file)
        return file

    def add(self, way, name, error, expected, control=False):
        "Note how a trial ended: the mark of its number says whether the command ran, `expected` how else it must end"
        ran = (self.marks/f'{len(self.rows)}').exists()
        as_said = error is None if expected is FINE else error is not None and any(p in error for p in ([expected] if isinstance(expected, str) else expected))
        outcome = 'executed' if ran else 'unclear' if not as_said else 'without it' if error is None else 'refused'
        self.rows.append(dict(way=way, name=name, outcome=outcome, expected=expected, why=' '.join((error or '').split())[:300], control=control))
        say(f'{len(self.rows):3} {outcome:10} {way}: {name}  {self.rows[-1]["why"][:160]}')

    def call(self, name, expected, f, control=False, way='function'):
        "Try a function"
        try:
            with warnings.catch_warnings(): warnings.simplefilter('ignore'); f()
            error = None
        except Exception as e: error = f'{type(e).__name__}: {e}'
        self.add(way, name, error, expected, control)

    def command(self, name, expected, *args, control=False, **env):
        "Try a command in a process of its own"
        r = subprocess.run([sys.executable, '-c', 'from face_fake_or_not.cli import main; main()', *map(str, args)], capture_output=True, text=True, timeout=600, cwd=ROOT, env=dict(os.environ, PYTHONWARNINGS='ignore', GRADIO_ANALYTICS_ENABLED='False', **env))
        lines = [l for l in r.stderr.splitlines() if l.strip()]
        error = next((l for l in reversed(lines) if l.startswith('error')), lines[-1] if lines else f'exit {r.returncode}') if r.returncode else None
        self.add('command', name, error, expected, control)

    def app(self, name, expected, **env):
        "Start app.py as a Space does, until it answers or gives up"
        with socket.socket() as s: s.bind(('127.0.0.1', 0)); port = s.getsockname()[1]
        log, end, up = self.tmp/'app.log', time.monotonic() + 120, False
        with open(log, 'w') as f: p = subprocess.Popen([sys.executable, 'app.py'], cwd=ROOT, stdout=f, stderr=f, env=dict(os.environ, PYTHONWARNINGS='ignore', GRADIO_ANALYTICS_ENABLED='False', GRADIO_SERVER_PORT=str(port), **env))
        while p.poll() is None and not up and time.monotonic() < end:
            time.sleep(.3)
            with contextlib.suppress(OSError), urllib.request.urlopen(f'http://127.0.0.1:{port}/', timeout=5) as r: up = r.status == 200
        lines = [l for l in log.read_text().splitlines() if l.strip()] or ['no word']
        if p.poll() is None: p.terminate(); p.wait()
        self.add('app', name, None if up else lines[-1], expected)

    def count(self, control):
        "How the trials ended; a mark that came late counts too"
        late = {r['name'] for i, r in enumerate(self.rows) if (self.marks/f'{i}').exists()}
        return Counter('executed' if r['name'] in late else r['outcome'] for r in self.rows if r['control'] == control)

def detectors(t, photo, good):
    "Everything `load_detector` takes"
    from face_fake_or_not.core import file_sha256, read_json, write_json
    from face_fake_or_not.detector import load_detector
    for form in t.forms:
        for suffix in ('.pkl', '.pickle', '.pth', '.pt', '.onnx', '.zip', '.json', '.bin'): t.call(f'load_detector(evil{suffix}) as {form}', ASK if suffix in ('.pkl', '.pickle', '.pth', '.pt') else KIND, lambda: load_detector(t.evil(t.tmp/f'evil{suffix}', form)))
        for vouch in (dict(trust='yes'), dict(trust=1), dict(sha256='0' * 64), dict(trust=True, sha256='0' * 64), dict(sha256='')): t.call(f'load_detector(evil.pkl, {vouch}) as {form}', NO_HASH if vouch == dict(sha256='') else HASH if 'sha256' in vouch else ASK, lambda: load_detector(t.evil(t.tmp/'evil.pkl', form), **vouch))
        for names, expected in ((('export.pkl', 'model.pkl', 'model.pth'), FINE), (('model.onnx',), ONNX), (('model.safetensors',), FINE), (('README.md',), 'its detector.json or card cannot be understood'), (('evaluation.json',), FINE), (('detector.json',), 'detector.json is damaged')):
            for trust in (False, True):
                folder = Path(shutil.copytree(good, t.tmp/'bundle', dirs_exist_ok=True))
                for n in names: t.evil(folder/n, form)
                info = read_json(good/'detector.json')
                if names[0] != 'detector.json': write_json(folder/'detector.json', info | dict(sha256=info['sha256'] | {n: file_sha256(folder/n) for n in names}))     # its sha256 fits: that proves nothing
                t.call(f'load_detector(bundle with {names[0]}, trust={trust}) as {form}', expected, lambda: load_detector(folder, trust=trust).predict(photo))
                shutil.rmtree(folder)
    lone = t.tmp/'lone'; t.call('load_detector(folder with nothing but export.pkl, trust=True)', LONE, lambda: load_detector(t.evil(lone/'export.pkl').parent, trust=True))

def hub(t, photo, good, quick):
    "Repositories on a server that speaks the Hub's protocol"
    from _serve import Repo, Server, private_home
    from face_fake_or_not.core import read_json
    from face_fake_or_not.detector import load_detector
    from face_fake_or_not.hub import pull_bundle, push_bundle
    with private_home(t.tmp/'home'):
        server = Server(); at = dict(endpoint=server.url)
        def served(**files): server.models['ada/evil'] = Repo(); server.models['ada/evil'].commit(files); return 'ada/evil'
        raw = lambda form='pickle': t.evil(t.tmp/'raw.pkl', form).read_bytes()
        files = {f.name: f.read_bytes() for f in good.iterdir() if f.is_file()}
        for form in t.forms:
            for name in ('model.pkl', 'export.pkl'):
                for vouch in (dict(), dict(trust='yes'), dict(sha256='0' * 64)): t.call(f'load_detector(Hub name with {name}, {vouch}) as {form}', (HASH, 'the Hub says that') if 'sha256' in vouch else FETCH, lambda: load_detector(served(**{name: raw(form)}), **vouch, **at))
            t.call(f'load_detector(Hub name, pickles beside a bundle) as {form}', FINE, lambda: load_detector(served(**files | {n: raw(form) for n in ('model.pkl', 'export.pkl', 'x.pth')}), trust=True, **at).predict(photo))
            t.call(f'load_detector(Hub name, pickle as model.onnx) as {form}', CHANGED, lambda: load_detector(served(**files | {'model.onnx': raw(form)}), trust=True, **at))
            t.call(f'pull_bundle(pickle beside a bundle) as {form}', FINE, lambda: pull_bundle(served(**files | {'export.pkl': raw(form)}), cache_dir=t.tmp/f'cache{form}', **at))
        os.environ['HF_TOKEN'], folder = 'hf_x', Path(shutil.copytree(good, t.tmp/'pushed'))
        t.evil(folder/'export.pkl'); info = read_json(folder/'detector.json')
        from face_fake_or_not.core import file_sha256, write_json
        write_json(folder/'detector.json', info | dict(sha256=info['sha256'] | {'export.pkl': file_sha256(folder/'export.pkl')}))
        t.call('push_bundle(with an evil export.pkl)', FINE, lambda: push_bundle(folder, 'ada/pushed', **at))
        there = dict(HF_ENDPOINT=server.url, HF_HUB_DISABLE_XET='1')
        if not quick:
            served(**{'model.pkl': raw('zip')}); t.command('predict -d ada/evil, on the Hub', FETCH, 'predict', photo, '-d', 'ada/evil', **there)
            served(**{'model.pkl': raw('old')}); t.app('FFON_DETECTOR=ada/evil, on the Hub', FETCH, FFON_DETECTOR='ada/evil', **there)
            served(**{'model.pkl': raw()}); t.command('pull, of a pickle alone', 'which is loaded with a sha256 or trust=True only', 'pull', 'ada/evil', **there)
            t.evil(folder/'export.pkl'); write_json(folder/'detector.json', info | dict(sha256=info['sha256'] | {'export.pkl': file_sha256(folder/'export.pkl')}))
            t.command('push, of a bundle with it', FINE, 'push', folder, 'ada/second', **there)
            t.evil(t.tmp/'raw.pkl', 'pickle'); server.models['ada/second'].changed('main', **{'x__pkl': (t.tmp/'raw.pkl').read_bytes()}); t.command('pull --pickle, of a bundle with it', FINE, 'pull', 'ada/second', t.tmp/'pulled', '--pickle', **there)
        server.close()

def training(t, good, run):
    "Everything that training, rounds and features read"
    import numpy as np, pandas as pd, torch
    from types import SimpleNamespace
    from face_fake_or_not.checkpoint import Checkpoint
    from face_fake_or_not.core import file_sha256, read_json, write_json
    from face_fake_or_not.export import bundle_learner
    from face_fake_or_not.generalise import _identity, frozen_features
    from face_fake_or_not.image import Spec
    from face_fake_or_not.learner import create_body, load_body
    from face_fake_or_not.recipe import get_recipe
    from face_fake_or_not.recipes import export_run, trained_run
    from face_fake_or_not.thresholds import with_rule
    from face_fake_or_not.verdict import Rule
    about = dict(arch='resnet10t', mean=[.5] * 3, std=[.5] * 3)
    for form in t.forms:
        for suffix in ('.pth', '.pt', '.safetensors', '.bin', '.pkl'):
            write_json(t.tmp/'weights.json', about)
            t.call(f'load_body(weights{suffix}) as {form}', TENSORS[0], lambda: load_body(t.evil(t.tmp/f'weights{suffix}', form)))
        fine = t.tmp/'fine.pth'; torch.save(create_body('resnet10t').state_dict(), fine)
        for key in ('checkpoint_path', 'pretrained_cfg', 'pretrained_cfg_overlay', 'weights'):
            evil = t.evil(t.tmp/'named.pth', form); write_json(fine.with_suffix('.json'), about | dict(kwargs={key: str(evil) if key in ('checkpoint_path', 'weights') else dict(file=str(evil))}))
            t.call(f'load_body(fine.pth whose JSON names the pickle as {key}) as {form}', ELSEWHERE, lambda: load_body(fine))
            folder = Path(shutil.copytree(good, t.tmp/'named', dirs_exist_ok=True)); info = read_json(good/'detector.json'); evil = t.evil(t.tmp/'named.pth', form)
            write_json(folder/'detector.json', info | dict(kwargs={key: str(evil)})); t.call(f'bundle_learner(detector.json names it as {key}) as {form}', ELSEWHERE, lambda: bundle_learner(folder))
        folder = Path(shutil.copytree(good, t.tmp/'tensors', dirs_exist_ok=True)); t.evil(folder/'model.safetensors', form); info = read_json(good/'detector.json')
        write_json(folder/'detector.json', info | dict(sha256=info['sha256'] | {'model.safetensors': file_sha256(folder/'model.safetensors')})); t.call(f'bundle_learner(pickle as model.safetensors) as {form}', TENSORS[0], lambda: bundle_learner(folder))
        folder = Path(shutil.copytree(good, t.tmp/f'ruled{form}')); t.evil(folder/'export.pkl', form); t.call(f'with_rule(bundle with it) as {form}', FINE, lambda: with_rule(folder, Rule(), t.tmp/f'new{form}'))
        t.call(f'Checkpoint.read as {form}', STATE, lambda: Checkpoint().read(SimpleNamespace(path=t.evil(t.tmp/'checkpoint.pt', form).parent)))
        t.call(f'get_recipe(evil.json) as {form}', TEXT, lambda: get_recipe(t.evil(t.tmp/'recipe.json', form)))
        for f in (trained_run, export_run):
            other = Path(shutil.copytree(run, t.tmp/'other', dirs_exist_ok=True)); t.evil(other/'models'/'best.pth', form); t.call(f'{f.__name__}(best.pth) as {form}', TENSORS, lambda: f(other))
    body = torch.nn.Flatten(); body.mean = body.std = (.5,) * 3; spec = Spec(32)
    photo = next(p for p in sorted((t.tmp/'data').rglob('*')) if p.suffix in ('.jpg', '.png', '.webp'))
    np.savez(t.tmp/'features.npz', keys=np.array([Evil(t.marks/f'{len(t.rows)}')], dtype=object), x=np.zeros((1, 2)), net=_identity(body, spec))
    t.call('frozen_features(features.npz with objects)', FINE, lambda: frozen_features(pd.DataFrame(dict(path=[str(photo)])), body=body, spec=spec, path=t.tmp/'features.npz', workers=1))
    t.call('frozen_features(features.npz is a pickle)', FINE, lambda: frozen_features(pd.DataFrame(dict(path=[str(photo)])), body=body, spec=spec, path=t.evil(t.tmp/'features.npz'), workers=1))

def half_done(tmp, run):
    "A copy of the run whose first round was stopped between its training and its entry in the ledger, and the pool"
    from face_fake_or_not.core import read_json, write_json
    from face_fake_or_not.items import face_items
    from face_fake_or_not.recipes import run_rounds
    from face_fake_or_not.sources import synthetic_sample
    mined, pool = Path(shutil.copytree(run, tmp/'mined')), synthetic_sample(tmp/'pool', n=12, size=48, seed=1)
    with contextlib.redirect_stdout(sys.stderr): run_rounds(mined, face_items(pool), 1, num_workers=0)
    ledger = read_json(mined/'rounds.json')
    write_json(mined/'rounds.json', ledger | dict(rounds=ledger['rounds'][:1]))
    return mined, pool

def rounds(t, run, quick):
    "The weights of a half-done round, replaced, and the rounds resumed"
    from face_fake_or_not.items import face_items
    from face_fake_or_not.recipes import run_rounds
    mined, pool = half_done(t.tmp, run)
    for r in (1, 0):                              # that of the round which is resumed, then that of the beginning
        file = mined/'rounds'/str(r)/'model.pth'; good = file.read_bytes()
        for form in t.forms: t.evil(file, form); t.call(f'run_rounds(resume, model.pth of round {r}) as {form}', TENSORS, lambda: run_rounds(mined, face_items(pool), 1, resume=True, num_workers=0))
        if r and not quick: t.evil(file, 'zip'); t.command('rounds --resume (model.pth of the half-done round)', TENSORS, 'rounds', mined, pool, '--rounds', 1, '--resume', '--workers', 0)
        file.write_bytes(good)
    t.call('run_rounds(resume, all weights as they were)', FINE, lambda: run_rounds(mined, face_items(pool), 1, resume=True, num_workers=0))     # so it was a round that can be resumed

def uploads(t, good):
    "As a photo to the app, over HTTP"
    from serving import Server
    with Server(ROOT, t.tmp/'disk') as server:
        for form in t.forms:
            for name in ('evil.pkl', 'photo.jpg'): t.call(f'uploaded as {name}, as {form}', IMAGE, lambda: server.predict(t.evil(t.tmp/'sent.bin', form).read_bytes(), name), way='app')
        t.call('a photo uploaded afterwards', FINE, lambda: server.predict(good, 'photo.jpg'), way='app')

def commands(t, photo, good, run):
    "Every command that takes a file, in a process of its own"
    from face_fake_or_not.sources import synthetic_face
    own = t.tmp/'own'; own.mkdir()
    for i in range(44): (own/f'{i}.jpg').write_bytes(synthetic_face('real', 'synthetic_phone', 96, i))
    turn = itertools.cycle(t.forms)
    data, evil = t.tmp/'data', lambda name='evil.pkl': t.evil(t.tmp/name, next(turn))
    def bundle(name, *names):
        "A good bundle with the pickle in it"
        folder = Path(shutil.copytree(good, t.tmp/name, dirs_exist_ok=True)); info = json.loads((good/'detector.json').read_text()); form = next(turn)
        from face_fake_or_not.core import file_sha256, write_json
        for n in names or ('export.pkl',): t.evil(folder/n, form)
        write_json(folder/'detector.json', info | dict(sha256=info['sha256'] | {n: file_sha256(folder/n) for n in names}))
        return folder
    for name in ('evil.pkl', 'evil.pth'): t.command(f'predict -d {name}', ASK, 'predict', photo, '-d', evil(name))
    t.command('predict -d evil.pkl --sha256 0…', HASH, 'predict', photo, '-d', evil(), '--sha256', '0' * 64)
    t.command('predict evil.pkl, as a photo', IMAGE, 'predict', evil())
    t.command('predict -d bundle with it', FINE, 'predict', photo, '-d', bundle('beside'))
    t.command('explain -d evil.pkl', ASK, 'explain', photo, '--out', t.tmp/'map.png', '-d', evil()); t.command('evaluate -d evil.pkl', ASK, 'evaluate', data, '-d', evil()); t.command('evaluate --against evil.pkl', ASK, 'evaluate', data, '--against', evil())
    for suffix in ('csv', 'parquet'): t.command(f'evaluate --scores evil.{suffix}', TABLE, 'evaluate', data, '--scores', evil(f'evil.{suffix}'))
    t.command('evaluate --pairs evil.csv', TABLE[0], 'evaluate', data, '--pairs', evil('evil.csv'))
    t.command('calibrate -d evil.pkl', BUNDLE, 'calibrate', data/'real', '--out', t.tmp/'cal', '-d', evil()); t.command('calibrate -d bundle with it', FINE, 'calibrate', own, '--out', t.tmp/'cal', '-d', bundle('cal_of'))
    t.command('quantize evil.pkl', LONE, 'quantize', evil(), data/'real', '--out', t.tmp/'low'); t.command('quantize a bundle whose model.onnx it is', ('Error parsing message', ONNX), 'quantize', bundle('low_of', 'model.onnx'), own, '--precision', 'fp16', '--out', t.tmp/'low')
    t.command('quantize a bundle with it', FINE, 'quantize', bundle('low_beside'), own, '--precision', 'fp16', '--force', '--out', t.tmp/'low')
    t.command('app -d evil.pkl', ASK, 'app', '-d', evil(), '--port', '0')
    t.app('FFON_DETECTOR=evil.pkl', ASK, FFON_DETECTOR=str(evil())); t.app('FFON_DETECTOR=evil.pkl, FFON_SHA256=0…', HASH, FFON_DETECTOR=str(evil()), FFON_SHA256='0' * 64)
    t.app('FFON_DETECTORS=evil.pkl', ASK, FFON_DETECTORS=str(evil())); t.app('FFON_DETECTOR=bundle with it', FINE, FFON_DETECTOR=str(bundle('beside2')))
    small = ('--epochs', 1, '--size', 32, '--bs', 8, '--workers', 0)
    (t.tmp/'evil.json').write_text(json.dumps(dict(arch='resnet10t', mean=[.5] * 3, std=[.5] * 3)))
    t.command('train --weights evil.pth', TENSORS, 'train', data, '--out', t.tmp/'trained', '--weights', evil('evil.pth'), *small)
    t.command('train --recipe evil.json', TEXT, 'train', data, '--out', t.tmp/'new', '--recipe', evil('recipe.json'), *small); t.command('audit a folder with it', 'found no images', 'audit', t.evil(t.tmp/'odd'/'real'/'evil.pkl').parents[1])
    t.command('leave-one-out --weights evil.pth', TENSORS, 'leave-one-out', data, '--weights', evil('evil.pth'), '--min-images', 2)
    other = Path(shutil.copytree(run, t.tmp/'resumed')); shutil.rmtree(other/'models'); began = json.loads((other/'run.json').read_text()); began.pop('best'); (other/'run.json').write_text(json.dumps(began))     # as if it had been killed
    evil('resumed/checkpoint.pt'); t.command('train --resume (checkpoint.pt)', STATE, 'train', data, '--out', other, '--resume', '--no-pretrained', '--workers', 0)
    other = Path(shutil.copytree(run, t.tmp/'exported')); evil('exported/models/best.pth'); t.command('export (best.pth)', TENSORS, 'export', other); evil('exported/models/best.pth'); t.command('rounds (best.pth)', TENSORS, 'rounds', other, data, '--workers', 0)

def control(t, photo):
    "The same file, vouched for: now it runs"
    from face_fake_or_not.core import file_sha256
    from face_fake_or_not.detector import load_detector
    t.call('load_detector(evil.pkl, trust=True)', FINE, lambda: load_detector(t.evil(t.tmp/'evil.pkl'), trust=True), True)
    t.call('load_detector(evil.pkl, its sha256)', FINE, lambda: load_detector(t.evil(t.tmp/'evil.pkl'), sha256=file_sha256(t.tmp/'evil.pkl')), True)
    t.command('predict -d evil.pkl --trust', FINE, 'predict', photo, '-d', t.evil(t.tmp/'evil.pkl'), '--trust', control=True)

def tiny_run(tmp):
    "A finished run on drawn faces"
    from face_fake_or_not.image import Spec
    from face_fake_or_not.items import face_items
    from face_fake_or_not.recipe import Recipe
    from face_fake_or_not.recipes import run_recipe
    from face_fake_or_not.schedule import Phase
    from face_fake_or_not.sources import synthetic_sample
    data = synthetic_sample(tmp/'data', n=12, size=48)
    run_recipe(Recipe('tiny', 'resnet10t', spec=Spec(32), bs=8, ema=None, phases=(Phase('head', 1, 1e-2, 'head'),)), face_items(data), tmp/'run', pretrained=False, num_workers=0)
    return tmp/'run'

def main():
    "Try everything; the last line is JSON"
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--quick', action='store_true', help='functions alone, no commands')
    args = p.parse_args()
    sys.path.insert(0, str(ROOT)); os.environ['PYTHONPATH'] = str(ROOT)
    tmp = Path(tempfile.mkdtemp())
    from face_fake_or_not.runtime import EMBEDDED
    from face_fake_or_not.sources import synthetic_face
    photo = tmp/'photo.jpg'; photo.write_bytes(synthetic_face('real', 'synthetic_camera', 96))
    began, run, t = time.monotonic(), tiny_run(tmp), Trials(tmp)
    detectors(t, photo, EMBEDDED); hub(t, photo, EMBEDDED, args.quick); training(t, EMBEDDED, run); rounds(t, run, args.quick)
    if not args.quick: uploads(t, photo.read_bytes()); commands(t, photo, EMBEDDED, run)
    control(t, photo)
    tried, counts, live = [r for r in t.rows if not r['control']], t.count(False), t.count(True)
    shutil.rmtree(tmp)
    result('malicious', tried=len(tried), executed=counts['executed'], refused=counts['refused'], without_it=counts['without it'], unclear=counts['unclear'], by_way={w: sum(r['way'] == w for r in tried) for w in ('function', 'command', 'app')},
           control_executed=f'{live["executed"]} of {live.total()}', seconds=round(time.monotonic() - began), problems=[r for r in tried if r['outcome'] in ('executed', 'unclear')])
    sys.exit(1 if counts['executed'] or counts['unclear'] or live['executed'] < live.total() else 0)

if __name__ == '__main__': main()
