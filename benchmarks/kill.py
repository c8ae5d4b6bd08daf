#!/usr/bin/env python
"""A training killed without warning (SIGKILL) at random moments, resumed, and compared with one that nobody disturbed.

    python benchmarks/kill.py [--kills 20]

The run is short but has everything: three phases (the first two on kept activations), averaged weights, a rate that falls on plateaus, MixUp, worker processes, calibration and export. Each trial starts it in a new folder,
kills it at a moment drawn evenly from the time that the undisturbed run took, and runs it again with `resume=True`; every other trial is killed a second time on the way. Compared are the best weights, the exported weights and
the history, bit by bit, on the CPU. The images are drawn by the package, so nothing has to be downloaded."""
import argparse, multiprocessing, os, random, shutil, signal, sys, tempfile, time, warnings
from collections import Counter
from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import load_file

from common import result, say
from face_fake_or_not.image import Spec
from face_fake_or_not.items import face_items
from face_fake_or_not.recipe import Recipe
from face_fake_or_not.recipes import run_recipe
from face_fake_or_not.schedule import Phase
from face_fake_or_not.sources import synthetic_sample

RECIPE = Recipe('killed', 'resnet10t', spec=Spec(48), bs=8, ema=.9, phases=(Phase('head', 2, 1e-2, 'head'), Phase('last', 3, 3e-3, 'last', sched='plateau', warmup=1), Phase('all', 3, 1e-3, mixup=.4)))

def train(data, out, workers):
    "The run, in a process of its own"
    multiprocessing.set_start_method('fork', force=True)       # its own workers: a child of a fork server would start each of them anew
    torch.set_num_threads(1)                                    # the network is tiny
    warnings.filterwarnings('ignore')
    sys.stderr = sys.stdout = open(os.devnull, 'w')
    run_recipe(RECIPE, face_items(data), out, pretrained=False, num_workers=workers, resume=True)

server = multiprocessing.get_context('forkserver')            # forks from a process that has loaded torch and done nothing else
server.set_forkserver_preload(['face_fake_or_not.recipes'])

def start(*args, target=train):
    "The run in its process"
    p = server.Process(target=target, args=args)
    p.start()
    return p

def stage_of(out):
    "How far a killed run had come"
    if not (out/'recipe.json').is_file(): return 'before the training'
    if not (out/'checkpoint.pt').is_file(): return 'first epoch' if not (out/'thresholds.csv').is_file() and not (out/'models').exists() else 'after the training'
    return f'phase {torch.load(out/"checkpoint.pt", weights_only=True)["at"]["phase"]}'

def same(a, b):
    "What differs between two run folders"
    x, y = (torch.load(f/'models'/'best.pth', weights_only=True) for f in (a, b))
    h, g = (pd.read_csv(f/'history.csv').drop(columns='time') for f in (a, b))
    p, q = (load_file(f/'bundle'/'model.safetensors') for f in (a, b))
    return dict(weights=all(torch.equal(x[k], y[k]) for k in x), bundle=all(torch.equal(p[k], q[k]) for k in p), history=h.equals(g), bundle_off=max((p[k] - q[k]).abs().max().item() for k in p))

def trial(i, data, whole, out, seconds, workers, rng):
    "Kill, resume, compare"
    before = []
    while len(before) < 1 + i % 2:
        p = start(data, out, workers)
        p.join(rng.uniform(0, seconds))
        if p.is_alive(): os.kill(p.pid, signal.SIGKILL); p.join(); before.append(stage_of(out) if out.exists() else 'before the training')
        elif before: break                                      # what was left took less time than the moment drawn
        else: shutil.rmtree(out)
    p = start(data, out, workers); p.join()
    ok = dict(ended=p.exitcode == 0, left_over=sorted(f.name for f in out.iterdir() if f.name in ('checkpoint.pt', 'cache') or f.name.startswith('.')))
    return dict(killed=before, **ok, **(same(whole, out) if ok['ended'] else {}))

def main():
    "Kill and compare; the last line is JSON"
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--kills', type=int, default=20)
    p.add_argument('--workers', type=int, default=2)
    p.add_argument('--seed', type=int, default=0)
    args = p.parse_args()
    tmp, rng = Path(tempfile.mkdtemp()), random.Random(args.seed)
    data = synthetic_sample(tmp/'data', n=20, size=64)
    start(target=int).join()                                    # loads torch
    begun = time.perf_counter()
    p = start(data, tmp/'whole', args.workers); p.join()
    seconds = time.perf_counter() - begun
    if p.exitcode: sys.exit('the undisturbed run failed')
    trials = []
    for i in range(args.kills):
        trials.append(trial(i, data, tmp/'whole', tmp/f'run{i}', seconds, args.workers, rng))
        say(f'trial {i}', trials[-1])
        shutil.rmtree(tmp/f'run{i}', ignore_errors=True)
    shutil.rmtree(tmp)
    counts = {k: sum(bool(t.get(k)) for t in trials) for k in ('ended', 'weights', 'bundle', 'history')}
    result('kill', trials=len(trials), kills=sum(len(t['killed']) for t in trials), **counts, left_over=sum(bool(t['left_over']) for t in trials), killed_in=dict(Counter(k for t in trials for k in t['killed'])))

if __name__ == '__main__': main()
