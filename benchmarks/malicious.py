#!/usr/bin/env python
"""A pickle that runs a command when it is loaded, put through every way in: nothing may run it.

    python benchmarks/malicious.py [--quick]

The command writes a file, so what was executed can be seen. The pickle stands in every format that torch reads (a bare pickle, torch's old and its zip format) and in every place where a file is read: given as a detector, as
weights, as a recipe; named by the JSON beside a weights file; in a bundle's folder, beside good files and in their place, with a fitting sha256; as checkpoint, best weights, kept features and a round's weights of a run; as
the only file of a repository on the Hub, served by a small server on this machine. Each is tried through the functions, through the commands (as processes of their own) and through app.py with FFON_DETECTOR. The last trials are
the control: with `trust=True`, `--trust` or its sha256 the same file does run, so a trial that runs nothing means something. Weights and runs are made here; nothing is downloaded.

An answer counts as `refused` when an error names the reason, as `without it` when the rest worked and the pickle was left alone, as `unclear` otherwise. `--quick` leaves the commands out."""
import argparse, contextlib, json, os, pickle, shutil, socket, subprocess, sys, tempfile, time, urllib.request, warnings
from collections import Counter
from pathlib import Path

from common import result, say

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT/'nbs'))
REASONS = ('trust=True', 'was not loaded', 'not fetched', 'cannot be read', 'UnpicklingError', 'Weights only load failed', 'neither a bundle', 'no bundle', 'is damaged', 'cannot load it', 'not an image', 'give a bundle folder', 'header too large',
           'no such', 'unknown', 'is no', 'JSON', 'not what', 'may not name', 'does not fit', 'lacks', 'cannot be built', 'found no images')

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

    def add(self, way, name, error, control=False):
        "Note how a trial ended; the mark of its number says whether the command ran"
        ran = (self.marks/f'{len(self.rows)}').exists()
        outcome = 'executed' if ran else 'without it' if error is None else 'refused' if any(r.lower() in error.lower() for r in REASONS) else 'unclear'
        self.rows.append(dict(way=way, name=name, outcome=outcome, why=' '.join((error or '').split())[:160], control=control))
        say(f'{len(self.rows):3} {outcome:10} {way}: {name}  {self.rows[-1]["why"]}')

    def call(self, name, f, control=False):
        "Try a function"
        try:
            with warnings.catch_warnings(): warnings.simplefilter('ignore'); f()
            error = None
        except Exception as e: error = f'{type(e).__name__}: {e}'
        self.add('function', name, error, control)

    def command(self, name, *args, control=False, **env):
        "Try a command in a process of its own"
        r = subprocess.run([sys.executable, '-c', 'from face_fake_or_not.cli import main; main()', *map(str, args)], capture_output=True, text=True, timeout=600, cwd=ROOT, env=dict(os.environ, PYTHONWARNINGS='ignore', GRADIO_ANALYTICS_ENABLED='False', **env))
        lines = [l for l in r.stderr.splitlines() if l.strip()]
        error = next((l for l in reversed(lines) if l.startswith('error') or 'Error' in l), lines[-1] if lines else f'exit {r.returncode}') if r.returncode else None
        self.add('command', name, error, control)

    def app(self, name, **env):
        "Start app.py as a Space does, until it answers or gives up"
        with socket.socket() as s: s.bind(('127.0.0.1', 0)); port = s.getsockname()[1]
        log, end, up = self.tmp/'app.log', time.monotonic() + 120, False
        with open(log, 'w') as f: p = subprocess.Popen([sys.executable, 'app.py'], cwd=ROOT, stdout=f, stderr=f, env=dict(os.environ, PYTHONWARNINGS='ignore', GRADIO_ANALYTICS_ENABLED='False', GRADIO_SERVER_PORT=str(port), **env))
        while p.poll() is None and not up and time.monotonic() < end:
            time.sleep(.3)
            with contextlib.suppress(OSError), urllib.request.urlopen(f'http://127.0.0.1:{port}/', timeout=5) as r: up = r.status == 200
        lines = [l for l in log.read_text().splitlines() if l.strip()] or ['no word']
        if p.poll() is None: p.terminate(); p.wait()
        self.add('app', name, None if up else lines[-1])

def detectors(t, photo, good):
    "Everything `load_detector` takes"
    from face_fake_or_not.core import file_sha256, read_json, write_json
    from face_fake_or_not.detector import load_detector
    for form in t.forms:
        for suffix in ('.pkl', '.pickle', '.pth', '.pt', '.onnx', '.zip', '.json', '.bin'): t.call(f'load_detector(evil{suffix}) as {form}', lambda: load_detector(t.evil(t.tmp/f'evil{suffix}', form)))
        for vouch in (dict(trust='yes'), dict(trust=1), dict(sha256='0' * 64), dict(trust=True, sha256='0' * 64), dict(sha256='')): t.call(f'load_detector(evil.pkl, {vouch}) as {form}', lambda: load_detector(t.evil(t.tmp/'evil.pkl', form), **vouch))
        for names in (('export.pkl', 'model.pkl', 'model.pth'), ('model.onnx',), ('model.safetensors',), ('README.md',), ('evaluation.json',), ('detector.json',)):
            for trust in (False, True):
                folder = Path(shutil.copytree(good, t.tmp/'bundle', dirs_exist_ok=True))
                for n in names: t.evil(folder/n, form)
                info = read_json(good/'detector.json')
                if names[0] != 'detector.json': write_json(folder/'detector.json', info | dict(sha256=info['sha256'] | {n: file_sha256(folder/n) for n in names}))     # its sha256 fits: that proves nothing
                t.call(f'load_detector(bundle with {names[0]}, trust={trust}) as {form}', lambda: load_detector(folder, trust=trust).predict(photo))
                shutil.rmtree(folder)
    lone = t.tmp/'lone'; t.call('load_detector(folder with nothing but export.pkl, trust=True)', lambda: load_detector(t.evil(lone/'export.pkl').parent, trust=True))

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
                for vouch in (dict(), dict(trust='yes'), dict(sha256='0' * 64)): t.call(f'load_detector(Hub name with {name}, {vouch}) as {form}', lambda: load_detector(served(**{name: raw(form)}), **vouch, **at))
            t.call(f'load_detector(Hub name, pickles beside a bundle) as {form}', lambda: load_detector(served(**files | {n: raw(form) for n in ('model.pkl', 'export.pkl', 'x.pth')}), trust=True, **at).predict(photo))
            t.call(f'load_detector(Hub name, pickle as model.onnx) as {form}', lambda: load_detector(served(**files | {'model.onnx': raw(form)}), trust=True, **at))
            t.call(f'pull_bundle(with the pickle) as {form}', lambda: pull_bundle(served(**files | {'export.pkl': raw(form)}), cache_dir=t.tmp/f'cache{form}', **at))
        os.environ['HF_TOKEN'], folder = 'hf_x', Path(shutil.copytree(good, t.tmp/'pushed'))
        t.evil(folder/'export.pkl'); info = read_json(folder/'detector.json')
        from face_fake_or_not.core import file_sha256, write_json
        write_json(folder/'detector.json', info | dict(sha256=info['sha256'] | {'export.pkl': file_sha256(folder/'export.pkl')}))
        t.call('push_bundle(with an evil export.pkl)', lambda: push_bundle(folder, 'ada/pushed', **at))
        there = dict(HF_ENDPOINT=server.url, HF_HUB_DISABLE_XET='1')
        for form in () if quick else t.forms:
            served(**{'model.pkl': raw(form)}); t.command(f'predict -d ada/evil, on the Hub, as {form}', 'predict', photo, '-d', 'ada/evil', **there)
            served(**{'model.pkl': raw(form)}); t.app(f'FFON_DETECTOR=ada/evil, on the Hub, as {form}', FFON_DETECTOR='ada/evil', **there)
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
            t.call(f'load_body(weights{suffix}) as {form}', lambda: load_body(t.evil(t.tmp/f'weights{suffix}', form)))
        fine = t.tmp/'fine.pth'; torch.save(create_body('resnet10t').state_dict(), fine)
        for key in ('checkpoint_path', 'pretrained_cfg', 'pretrained_cfg_overlay', 'weights'):
            evil = t.evil(t.tmp/'named.pth', form); write_json(fine.with_suffix('.json'), about | dict(kwargs={key: str(evil) if key in ('checkpoint_path', 'weights') else dict(file=str(evil))}))
            t.call(f'load_body(fine.pth whose JSON names the pickle as {key}) as {form}', lambda: load_body(fine))
            folder = Path(shutil.copytree(good, t.tmp/'named', dirs_exist_ok=True)); info = read_json(good/'detector.json'); evil = t.evil(t.tmp/'named.pth', form)
            write_json(folder/'detector.json', info | dict(kwargs={key: str(evil)})); t.call(f'bundle_learner(detector.json names it as {key}) as {form}', lambda: bundle_learner(folder))
        folder = Path(shutil.copytree(good, t.tmp/'tensors', dirs_exist_ok=True)); t.evil(folder/'model.safetensors', form); info = read_json(good/'detector.json')
        write_json(folder/'detector.json', info | dict(sha256=info['sha256'] | {'model.safetensors': file_sha256(folder/'model.safetensors')})); t.call(f'bundle_learner(pickle as model.safetensors) as {form}', lambda: bundle_learner(folder))
        folder = Path(shutil.copytree(good, t.tmp/f'ruled{form}')); t.evil(folder/'export.pkl', form); t.call(f'with_rule(bundle with it) as {form}', lambda: with_rule(folder, Rule(), t.tmp/f'new{form}'))
        t.call(f'Checkpoint.read as {form}', lambda: Checkpoint().read(SimpleNamespace(path=t.evil(t.tmp/'checkpoint.pt', form).parent)))
        t.call(f'get_recipe(evil.json) as {form}', lambda: get_recipe(t.evil(t.tmp/'recipe.json', form)))
        for f in (trained_run, export_run):
            other = Path(shutil.copytree(run, t.tmp/'other', dirs_exist_ok=True)); t.evil(other/'models'/'best.pth', form); t.call(f'{f.__name__}(best.pth) as {form}', lambda: f(other))
    body = torch.nn.Flatten(); body.mean = body.std = (.5,) * 3; spec = Spec(32)
    photo = next(p for p in sorted((t.tmp/'data').rglob('*')) if p.suffix in ('.jpg', '.png', '.webp'))
    np.savez(t.tmp/'features.npz', keys=np.array([Evil(t.marks/f'{len(t.rows)}')], dtype=object), x=np.zeros((1, 2)), net=_identity(body, spec))
    t.call('frozen_features(features.npz with objects)', lambda: frozen_features(pd.DataFrame(dict(path=[str(photo)])), body=body, spec=spec, path=t.tmp/'features.npz', workers=1))
    t.call('frozen_features(features.npz is a pickle)', lambda: frozen_features(pd.DataFrame(dict(path=[str(photo)])), body=body, spec=spec, path=t.evil(t.tmp/'features.npz'), workers=1))

def commands(t, photo, good, run):
    "Every command that takes a file, in a process of its own"
    data, evil = t.tmp/'data', lambda form='pickle', name='evil.pkl': t.evil(t.tmp/name, form)
    for form in t.forms:
        for name in ('evil.pkl', 'evil.pth'): t.command(f'predict -d {name} as {form}', 'predict', photo, '-d', evil(form, name))
    t.command('predict -d evil.pkl --sha256 0…', 'predict', photo, '-d', evil(), '--sha256', '0' * 64)
    t.command('predict evil.pkl, as a photo', 'predict', evil())
    folder = Path(shutil.copytree(good, t.tmp/'beside')); t.evil(folder/'export.pkl'); t.command('predict -d bundle with it', 'predict', photo, '-d', folder)
    t.command('explain -d evil.pkl', 'explain', photo, '--out', t.tmp/'map.png', '-d', evil()); t.command('evaluate -d evil.pkl', 'evaluate', data, '-d', evil()); t.command('evaluate --against evil.pkl', 'evaluate', data, '--against', evil())
    t.command('evaluate --scores evil.csv', 'evaluate', data, '--scores', evil(name='evil.csv')); t.command('evaluate --scores evil.parquet', 'evaluate', data, '--scores', evil(name='evil.parquet')); t.command('evaluate --pairs evil.csv', 'evaluate', data, '--pairs', evil(name='evil.csv'))
    t.command('calibrate -d evil.pkl', 'calibrate', data/'real', '--out', t.tmp/'cal', '-d', evil()); t.command('app -d evil.pkl', 'app', '-d', evil(), '--port', '0')
    for form in t.forms: t.app(f'FFON_DETECTOR=evil.pkl as {form}', FFON_DETECTOR=str(evil(form)))
    t.app('FFON_DETECTOR=evil.pkl, FFON_SHA256=0…', FFON_DETECTOR=str(evil()), FFON_SHA256='0' * 64)
    folder = Path(shutil.copytree(good, t.tmp/'beside2')); t.evil(folder/'export.pkl'); t.app('FFON_DETECTOR=bundle with it', FFON_DETECTOR=str(folder))
    small = ('--epochs', 1, '--size', 32, '--bs', 8, '--workers', 0)
    (t.tmp/'evil.json').write_text(json.dumps(dict(arch='resnet10t', mean=[.5] * 3, std=[.5] * 3)))
    for form in t.forms: t.command(f'train --weights evil.pth as {form}', 'train', data, '--out', t.tmp/f'trained{form}', '--weights', evil(form, 'evil.pth'), *small)
    t.command('train --recipe evil.json', 'train', data, '--out', t.tmp/'new', '--recipe', evil(name='recipe.json'), *small); t.command('audit a folder with it', 'audit', t.evil(t.tmp/'odd'/'real'/'evil.pkl').parents[1])
    t.command('leave-one-out --weights evil.pth', 'leave-one-out', data, '--weights', evil(name='evil.pth'), '--min-images', 2)
    for form in t.forms:
        other = Path(shutil.copytree(run, t.tmp/'resumed', dirs_exist_ok=True)); shutil.rmtree(other/'models'); began = json.loads((other/'run.json').read_text()); began.pop('best'); (other/'run.json').write_text(json.dumps(began))     # as if it had been killed
        t.evil(other/'checkpoint.pt', form); t.command(f'train --resume (checkpoint.pt) as {form}', 'train', data, '--out', other, '--resume', '--no-pretrained', '--workers', 0)
        other = Path(shutil.copytree(run, t.tmp/'exported', dirs_exist_ok=True)); t.evil(other/'models'/'best.pth', form); t.command(f'export (best.pth) as {form}', 'export', other); t.evil(other/'models'/'best.pth', form); t.command(f'rounds (best.pth) as {form}', 'rounds', other, data, '--workers', 0)
    other = Path(shutil.copytree(run, t.tmp/'mined'))
    t.evil(other/'rounds'/'0'/'model.pth'); t.command('rounds --resume (model.pth of the beginning)', 'rounds', other, data, '--resume', '--workers', 0)

def control(t, photo):
    "The same file, vouched for: now it runs"
    from face_fake_or_not.core import file_sha256
    from face_fake_or_not.detector import load_detector
    t.call('load_detector(evil.pkl, trust=True)', lambda: load_detector(t.evil(t.tmp/'evil.pkl'), trust=True), True)
    t.call('load_detector(evil.pkl, its sha256)', lambda: load_detector(t.evil(t.tmp/'evil.pkl'), sha256=file_sha256(t.tmp/'evil.pkl')), True)
    t.command('predict -d evil.pkl --trust', 'predict', photo, '-d', t.evil(t.tmp/'evil.pkl'), '--trust', control=True)

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
    run, t = tiny_run(tmp), Trials(tmp)
    detectors(t, photo, EMBEDDED); hub(t, photo, EMBEDDED, args.quick); training(t, EMBEDDED, run)
    if not args.quick: commands(t, photo, EMBEDDED, run)
    n = len(t.rows); control(t, photo)
    tried, live = [r for r in t.rows if not r['control']], sum(r['outcome'] == 'executed' for r in t.rows[n:])
    shutil.rmtree(tmp)
    counts = Counter(r['outcome'] for r in tried)
    result('malicious', tried=len(tried), executed=counts['executed'], refused=counts['refused'], without_it=counts['without it'], unclear=counts['unclear'], by_way={w: sum(r['way'] == w for r in tried) for w in ('function', 'command', 'app')},
           control_executed=f'{live} of {len(t.rows) - n}', problems=[r for r in tried if r['outcome'] in ('executed', 'unclear')])
    sys.exit(1 if counts['executed'] or live < len(t.rows) - n else 0)

if __name__ == '__main__': main()
