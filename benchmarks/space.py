#!/usr/bin/env python
"""A Space as it is built: `requirements.txt` alone in an empty environment, then app.py, README.md and the package folder copied beside it into an empty folder.

Measured: seconds and MB of the installation, seconds from start until `/health` answers and until the first prediction is there, memory, seconds to stop, what lies on the disk afterwards;
and that the score is the detector's own, and that torch and fastai are absent. Run `python benchmarks/space.py` in the repository; uv is used where it is installed (much faster than pip).
`--venv` uses an environment that is already there."""
import argparse, json, os, re, shutil, subprocess, sys, tempfile, time
from pathlib import Path

from common import result, say
from serving import Server, size_mb

ROOT = Path(__file__).resolve().parents[1]
ABSENT = 'torch', 'torchvision', 'fastai', 'fastcore', 'timm', 'sklearn', 'matplotlib', 'nbdev', 'face_fake_or_not'

def installed(folder):
    "An environment with requirements.txt and nothing else: its python and the seconds it took"
    start, uv = time.perf_counter(), shutil.which('uv')
    python = folder/('Scripts' if os.name == 'nt' else 'bin')/'python'
    make, put = ([uv, 'venv', '-q', '--python', sys.executable], [uv, 'pip', 'install', '-q', '--no-cache', '--python', python]) if uv else ([sys.executable, '-m', 'venv'], [python, '-m', 'pip', 'install', '-q', '--no-cache-dir'])
    subprocess.run([*make, folder], check=True)
    subprocess.run([*put, '-r', ROOT/'requirements.txt'], check=True)
    return python, time.perf_counter() - start

def versions(python):
    "What the environment holds, and which of the packages that should be absent can be found"
    code = f'''import importlib.metadata as m, importlib.util as u, json
print(json.dumps([{{d.name: d.version for d in m.distributions()}}, [o for o in {ABSENT!r} if u.find_spec(o)]]))'''
    return json.loads(subprocess.run([python, '-c', code], check=True, capture_output=True, text=True, cwd='/').stdout)

def main():
    "Build it, start it, ask it, stop it; the last line is JSON"
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--n', type=int, default=20, help='predictions before the memory is read')
    p.add_argument('--venv', type=Path, help='an environment to use instead of a new one')
    args = p.parse_args()
    from face_fake_or_not.detector import load_detector
    from face_fake_or_not.sources import synthetic_face
    kinds = ('real', 'synthetic_phone'), ('fake', 'synthetic_lattice')
    photos = [synthetic_face(*kinds[i % 2], 256, i) for i in range(args.n)]
    expected = [load_detector().predict(o).score for o in photos]
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        python, seconds = (args.venv/'bin'/'python', None) if args.venv else installed(tmp/'venv')
        found, wrong = versions(python)
        mb = size_mb(python.parents[1])
        say(f'{len(found)} packages, {mb:.0f} MB, {seconds or 0:.1f} s')
        space = tmp/'space'; space.mkdir()
        for name in ('app.py', 'README.md', 'requirements.txt'): shutil.copy2(ROOT/name, space)
        shutil.copytree(ROOT/'face_fake_or_not', space/'face_fake_or_not', ignore=shutil.ignore_patterns('__pycache__'))
        runs = []
        for again in range(2):                                                # first without compiled files, as after a build, then as after a restart
            with Server(space, tmp/f'run{again}', python) as server:
                first = server.predict(photos[0])
                answered, scores = server.age(), [server.predict(o)['score'] for o in photos]
                memory = server.memory_mib()
                stopped, left = server.stop()
            runs.append(dict(health_s=round(server.started, 2), first_prediction_s=round(answered, 2), rss_mib=memory['rss'], peak_mib=memory['peak'], stop_s=round(stopped, 2), files_left=left))
            say(runs[-1])
        off = max(abs(a - b) for a, b in zip([first['score'], *scores], [expected[0], *expected]))
    sdk = re.search(r'^sdk_version: *(\S+)', (ROOT/'README.md').read_text(encoding='utf8'), re.M)[1]
    assert off < 1e-6 and not wrong and not any(r['files_left'] for r in runs), (off, wrong, runs)
    result('space', install_s=seconds and round(seconds, 1), packages=len(found), mb=round(mb), sdk_version=sdk, gradio=found['gradio'], onnxruntime=found['onnxruntime'], absent=[o for o in ABSENT if o not in wrong],
           cold=runs[0], restart=runs[1], largest_score_difference=off, photos=args.n)

if __name__ == '__main__': main()
