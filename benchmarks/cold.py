#!/usr/bin/env python
"""One photo from a cold start: `face-fake-or-not predict photo --json` against fastai's `load_learner` and `predict`, each in a new process, in turn."""
import argparse, json, statistics, subprocess, sys, tempfile, time
from pathlib import Path

from common import need, result, say
from face_fake_or_not.sources import synthetic_face

FASTAI = "import sys, warnings; warnings.simplefilter('ignore'); from fastai.learner import load_learner; print(load_learner(sys.argv[1]).predict(sys.argv[2]))"
OURS = 'from face_fake_or_not.cli import main; main()'

def seconds(*command):
    "Wall time of a process that must succeed"
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start

def loaded():
    "Heavy modules that importing the runtime brings in"
    code = "import sys, json; from face_fake_or_not.detector import load_detector; print(json.dumps(sorted({m.split('.')[0] for m in sys.modules} & {'torch', 'fastai'})))"
    return json.loads(subprocess.run([sys.executable, '-c', code], check=True, capture_output=True, text=True).stdout)

def main():
    "Time both, alternating; the last line is JSON"
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('run', type=Path, help='run folder of `face-fake-or-not train`')
    p.add_argument('--repeats', type=int, default=5)
    args = p.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        photo = Path(tmp)/'photo.jpg'
        photo.write_bytes(synthetic_face('real', 'synthetic_camera', 512))
        times = dict(ours=[], fastai=[])
        for i in range(args.repeats + 1):
            times['ours'].append(seconds(sys.executable, '-c', OURS, 'predict', str(photo), '--json', '--detector', str(args.run/'bundle')))
            times['fastai'].append(seconds(sys.executable, '-c', FASTAI, str(need(args.run/'export.pkl', 'The export')), str(photo)))
            say(f"{i}: ours {times['ours'][-1]:.2f} s, fastai {times['fastai'][-1]:.2f} s")
    mid = {k: statistics.median(v[1:]) for k, v in times.items()}     # the first pair warms the disk for both
    result('cold', **{f'{k}_s': round(v, 3) for k, v in mid.items()}, ratio=round(mid['ours'] / mid['fastai'], 4), repeats=args.repeats, torch_or_fastai_loaded=loaded())

if __name__ == '__main__': main()
