#!/usr/bin/env python
"""Training with the frozen part's activations kept, against training without: is it the same training?

`python benchmarks/cache.py` trains the head and then the last stage with the head on real faces, always from the same weights and on the same images, and compares with the run that computes everything anew in every epoch:
single: single precision, no augmentation, no dropout: the largest difference of the training and validation loss over the epochs of each phase, which should be at most 1e-4;
half: the same kept in half precision, and what becomes of the final validation AUC;
disk: the same (single) in a memory-mapped file: the difference, and how long an epoch takes against one from memory, and against one without the cache;
views: mirror images and dropout as in practice, 1, 2 and 4 kept views and none: the final validation AUC with its 95 % interval, and its difference from the run without cache on the same resamples, the mean of several seeds.
The AUC is that of the last epoch, so that no epoch is chosen by the figure that is compared. Its interval is that of the validation images; how far two trainings differ by chance alone is in `of_seeds`, and on few images
that is more than the interval: dropout and mirroring draw otherwise with the cache than without. Epoch ratios are of wall seconds and, where other programs use the same cores, better of CPU seconds (`..._cpu_...`)."""
import argparse, os, tempfile, time, warnings
from pathlib import Path

os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')           # see schedule.py

import numpy as np

from common import result, say, shared_dir
from schedule import Clock, fastai_clock, learner, mean_epochs, subset

def parse_args():
    "The command line"
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--data', type=Path, default=shared_dir()/'data', help='folder with items.csv')
    p.add_argument('--arch', help='as in schedule.py')
    p.add_argument('--weights', type=Path, help='as in schedule.py')
    p.add_argument('--n', type=int, default=800, help='training images')
    p.add_argument('--n-valid', type=int, default=500, help='validation images')
    p.add_argument('--size', type=int, default=128, help='side of the square in pixels')
    p.add_argument('--bs', type=int, default=32)
    p.add_argument('--workers', type=int, default=os.cpu_count() or 1, help='processes that load images')
    p.add_argument('--epochs', type=int, default=3, help='of each phase')
    p.add_argument('--rates', type=float, nargs=2, default=(3e-3, 1e-3), help='of the two phases')
    p.add_argument('--seeds', type=int, nargs='+', default=[42, 43, 44], help='of the views; the first serves the rest')
    args = p.parse_args()
    args.flip, args.seed = False, args.seeds[0]
    return args

def train(items, args, cache, drop=0., flip=False, seed=None):
    "Loss columns, epoch seconds, total seconds, what was cached and the last epoch's P(fake) on the validation images"
    from face_fake_or_not.schedule import Phase
    settings = argparse.Namespace(**vars(args) | dict(flip=flip, seed=args.seed if seed is None else seed))
    with tempfile.TemporaryDirectory() as tmp:
        learn, clock, last = learner(items, settings, tmp, drop=drop), Clock(), {}
        phases = tuple(Phase(n, args.epochs, r, n, wd=1e-2, sched='flat') for n, r in zip(('head', 'last'), args.rates))
        start = time.perf_counter()
        with learn.no_bar(), learn.no_logging(): history = learn.fit_progressive(phases, cache=cache, cbs=fastai_clock(clock, lambda l: l.phase) + [keeper(last)])
        seconds = time.perf_counter() - start
        if cache and not all(c['cached'] for c in learn.caching): raise SystemExit(f'not cached: {learn.caching}')
        learn.model.load_state_dict(last['weights'])                # the last epoch's, not the best one's
        with learn.no_bar(): scores = learn.get_preds(dl=learn.dls.valid)[0][:, list(learn.dls.vocab).index('fake')].numpy()
    return dict(history=history, epochs=mean_epochs(clock), cpu=mean_epochs(clock, 'cpu'), seconds=seconds, caching=learn.caching, scores=scores)

def keeper(out):
    "A callback that keeps the last weights: `fit_progressive` ends on the best"
    from fastai.callback.core import Callback
    class Keeper(Callback):
        def after_fit(self):
            if not hasattr(self, 'gather_preds'): out['weights'] = {k: v.clone() for k, v in self.model.state_dict().items()}
    return Keeper()

# --- What is compared ---

def differences(a, b):
    "Largest difference of each loss over the epochs of a phase"
    d = (a['history'][['train_loss', 'valid_loss']] - b['history'][['train_loss', 'valid_loss']]).abs().astype(float)
    return {phase: {k: float(f'{v:.2g}') for k, v in g.max().items()} for phase, g in d.groupby(a['history'].phase, sort=False)}

def auc(valid, scores):
    "The figure"
    return float(resampled(valid, scores, np.ones((1, len(valid)), np.float32))[0])

def resampled(valid, scores, counts):
    "The AUC on each resample"
    from face_fake_or_not.intervals import weighted_auc
    return weighted_auc((valid.label == 'fake').to_numpy(), scores, counts)

def span(values):
    "Two figures of an interval, rounded"
    from face_fake_or_not.intervals import interval
    return [round(float(x), 4) for x in interval(values)]

def same_training(items, valid, args):
    "No augmentation, no dropout: single, half and memory-mapped against none"
    from face_fake_or_not.prefix import Cache
    runs = {}
    for name, cache in dict(none=None, single=Cache(views=1, half=False), half=Cache(views=1), disk=Cache(views=1, half=False, memory_gb=0)).items():
        say(f'{name}: no augmentation')
        runs[name] = train(items, args, cache)
    none, single, half, disk = runs.values()
    per = lambda a, b, name: {f'{name}_{what}ratio': (a[k] / b[k]).round(2).to_dict() for k, what in (('epochs', ''), ('cpu', 'cpu_'))}
    kept = lambda r: dict(mib=round(sum(c['mib'] for c in r['caching']), 1), filling_s=r['caching'][0]['seconds'], on_disk=all(c['disk'] for c in r['caching']))
    worst = max(v for phase in differences(none, single).values() for v in phase.values())
    aucs = {k: round(auc(valid, r['scores']), 5) for k, r in runs.items()}
    return dict(single=dict(differences=differences(none, single), largest=worst, within_1e_4=worst <= 1e-4, **per(none, single, 'epoch'), **kept(single)),
                half=dict(differences=differences(none, half), auc_difference=round(aucs['half'] - aucs['none'], 5), **per(none, half, 'epoch'), **kept(half)),
                disk=dict(differences=differences(none, disk), from_memory=differences(single, disk), **per(none, disk, 'epoch'), **per(disk, single, 'to_memory'), **kept(disk)), auc=aucs)

def variety(items, valid, args):
    "Mirror images: kept views against none"
    from face_fake_or_not.intervals import resample_counts
    from face_fake_or_not.prefix import Cache
    counts, boots, seconds = resample_counts(valid.group, 1000, 0), {}, {}
    for seed in args.seeds:
        for views in (None, 1, 2, 4):
            say(f'views {views}, seed {seed}')
            r = train(items, args, views and Cache(views=views), drop=.2, flip=True, seed=seed)
            boots.setdefault(views, []).append((auc(valid, r['scores']), resampled(valid, r['scores'], counts)))
            seconds.setdefault(views, []).append(r['seconds'])
    mean = {v: [np.mean(x, axis=0) for x in zip(*b)] for v, b in boots.items()}
    return {str(v or 'none'): dict(auc=round(float(m[0]), 4), interval=span(m[1]), of_seeds=[round(b[0], 4) for b in boots[v]], difference=round(float(m[0] - mean[None][0]), 4), difference_interval=span(m[1] - mean[None][1]),
                                   seconds_ratio=round(float(np.mean(seconds[None]) / np.mean(seconds[v])), 2)) for v, m in mean.items()}

def main():
    "Run all; the last line is JSON"
    args = parse_args()
    warnings.filterwarnings('ignore')
    items = subset(args.data, args.n, args.n_valid, args.seed)
    valid = items[items.split == 'valid'].reset_index(drop=True)
    load = os.getloadavg() if hasattr(os, 'getloadavg') else ()
    same, views = same_training(items, valid, args), variety(items, valid, args)
    for k in ('single', 'half', 'disk'): print(f'{k:>8}: {same[k]["differences"]}')
    for k, v in views.items(): print(f'{k:>8}: AUC {v["auc"]} {v["interval"]}, difference {v["difference"]} {v["difference_interval"]}, {v["seconds_ratio"]} times as fast')
    result('cache', n=int((items.split == 'train').sum()), n_valid=len(valid), size=args.size, bs=args.bs, epochs=args.epochs, rates=args.rates, seeds=args.seeds, **same, views=views,
           load=[round(x, 2) for x in (*load, *os.getloadavg())] if load else None)

if __name__ == '__main__': main()
