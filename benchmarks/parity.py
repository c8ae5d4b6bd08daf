#!/usr/bin/env python
"""fastai's `load_learner('export.pkl').predict(photo)` against `load_detector(bundle).predict(photo)` on every test image."""
import argparse, warnings
from pathlib import Path

import numpy as np

from common import need, result, say, shared_dir
from face_fake_or_not.core import FAKE
from face_fake_or_not.detector import load_detector
from face_fake_or_not.items import face_items

def parse_args():
    "The command line"
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('run', type=Path, help='run folder of `face-fake-or-not train`')
    p.add_argument('--data', type=Path, default=shared_dir()/'data')
    p.add_argument('--limit', type=int, help='images, for a quick look')
    return p.parse_args()

def learner_score(learn, photo):
    "P(fake) as fastai gives it"
    with learn.no_bar(): probs = learn.predict(photo)[2]
    return float(probs[list(learn.dls.vocab).index(FAKE)])

def main():
    "Compare image by image; the last line is JSON"
    args = parse_args()
    from fastai.learner import load_learner
    warnings.simplefilter('ignore')
    learn, detector = load_learner(need(args.run/'export.pkl', 'The export')), load_detector(args.run/'bundle')
    items = face_items(need(args.data, 'The data'), check=False)
    paths = items[items.split == 'test'].path.tolist()[:args.limit]
    ours, theirs = detector.scores(paths), []
    for i, p in enumerate(paths):
        theirs.append(learner_score(learn, p))
        if i % 200 == 0: say(f'{i} of {len(paths)}')
    gap = np.abs(ours - np.array(theirs))
    result('parity', n=len(paths), largest_difference=float(gap.max()), image=str(Path(paths[int(gap.argmax())]).relative_to(args.data)))

if __name__ == '__main__': main()
