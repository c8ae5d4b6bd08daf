#!/usr/bin/env python
"""Two real processes on a CPU against one, with the same global batch: losses of each epoch, how often each image was seen, and what lies in the run folder.

The body is in evaluation mode, so that batch norm takes no mean over a process's own share; no augmentation, no dropout, images drawn as they come, no kept activations: then both trainings are the same sums in another order.
In double precision, the default here, the order does not matter; with `--single` its rounding grows from step to step, as Adam divides small gradients by themselves.
`python benchmarks/processes.py` launches both by itself. The number of validation images is odd on purpose: two processes cannot share them evenly."""
import argparse, json, subprocess, sys, tempfile, time, warnings
from pathlib import Path

from common import need, result, say, shared_dir

def parse_args():
    "The command line"
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--images', type=int, default=192, help='training images, a multiple of --bs')
    p.add_argument('--bs', type=int, default=32, help='images in a step, over all processes')
    p.add_argument('--epochs', type=int, default=2, help='epochs of each of the two phases')
    p.add_argument('--size', type=int, default=96, help='side of the square in pixels')
    p.add_argument('--seed', type=int, default=0)
    p.add_argument('--single', action='store_true', help='single precision, as in real training')
    p.add_argument('--child', type=Path, help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.images % args.bs or args.bs % 2: p.error('--images must be a multiple of --bs, and --bs of 2')
    return args

def manifest(args):
    "`n` training and n/2 + 1 validation images of the real data, half of each label"
    from face_fake_or_not.items import face_items
    import pandas as pd
    items = face_items(csv=need(shared_dir()/'data'/'items.csv', 'The manifest of real faces'), check=False)
    def some(split, n): return items[items.split == split].groupby('label').sample(-(-n // 2), random_state=args.seed).iloc[:n]
    return pd.concat([some('train', args.images), some('valid', args.images // 2 + 1)])

def learner(args, world):
    "A learner whose body trains in evaluation mode, and the list of the images it loads for training"
    from face_fake_or_not.core import seed_everything
    from face_fake_or_not.data import face_dataloaders
    from face_fake_or_not.learner import face_learner
    seed_everything(args.seed)
    dls, seen = face_dataloaders(manifest(args), size=args.size, bs=args.bs // world, balance=None, batch_tfms=[], num_workers=0), []
    do_item = dls.train.do_item
    dls.train.do_item = lambda i: seen.append(i) or do_item(i)
    weights = need(shared_dir()/'weights'/'mobilenetv2_100.imagenet_fp16.pth', 'The weights of the backbone')
    return face_learner(dls, None, weights=weights, drop=0., path=args.child), seen

def body_eval(single):
    "A callback that keeps the whole body in evaluation mode, and feeds it double precision unless `single`"
    from fastai.callback.core import Callback, TrainEvalCallback
    from fastai.torch_core import get_model
    class BodyEval(Callback):
        order = TrainEvalCallback.order + 1
        def before_train(self): get_model(self.model)[0].eval()
        def before_batch(self): self.learn.xb = tuple(x if single else x.double() for x in self.xb)
    return BodyEval()

def child(args):
    "One process of a training; the first writes what happened"
    warnings.filterwarnings('ignore')
    import torch, torch.distributed as dist
    from face_fake_or_not.processes import leave_group, several_processes, world
    from face_fake_or_not.schedule import Phase
    n = world()
    torch.set_num_threads(1)       # of each process, so that two of them have twice the cores
    learn, seen = learner(args, n)
    if not args.single: learn.model.double()
    phases = Phase('head', args.epochs, 1e-2, 'head'), Phase('all', args.epochs, 1e-3, spread=10)
    start = time.perf_counter()
    with several_processes(learn), learn.no_logging():
        seen.clear()
        learn.fit_progressive(phases, ema=.9, cbs=[body_eval(args.single)], cache=None)
        parts = [seen]
        if n > 1: dist.all_gather_object(parts := [None] * n, seen)
    seconds = time.perf_counter() - start
    if not leave_group(): return
    losses = learn.history[['train_loss', 'valid_loss', 'accuracy', 'roc_auc_score']].astype(float)
    files = sorted(p.relative_to(args.child).as_posix() for p in args.child.rglob('*') if p.is_file())
    (args.child.parent/f'{args.child.name}.json').write_text(json.dumps(dict(losses=losses.to_dict('list'), seen=parts, files=files, seconds=seconds, world=n, best=learn.best)))

def train(args, folder, processes):
    "Launch a training in so many processes, and read what it wrote"
    start = [sys.executable] if processes == 1 else [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', str(processes)]
    say(f'training in {processes} process{"es" * (processes > 1)}')
    folder.mkdir()
    r = subprocess.run([*start, str(Path(__file__).resolve()), *sys.argv[1:], '--child', str(folder)], capture_output=True, text=True)
    if r.returncode: sys.exit(f'the training in {processes} processes failed:\n{r.stderr[-3000:]}')
    return json.loads(folder.with_name(f'{folder.name}.json').read_text())

def counts(run, args):
    "Smallest and largest number of times an image was loaded in an epoch, over all epochs"
    from collections import Counter
    share = args.images // run['world']
    epochs = [Counter(i for part in run['seen'] for i in part[e*share:(e+1)*share]) for e in range(2 * args.epochs)]
    return min(c.get(i, 0) for c in epochs for i in range(args.images)), max(v for c in epochs for v in c.values())

def main():
    "Train twice and compare; the last line is JSON"
    args = parse_args()
    if args.child: return child(args)
    with tempfile.TemporaryDirectory() as tmp: one, two = (train(args, Path(tmp)/name, n) for name, n in (('one', 1), ('two', 2)))
    for name in ('train_loss', 'valid_loss', 'accuracy', 'roc_auc_score'):
        for kind, run in (('one', one), ('two', two)): print(f'{name:<14} {kind}', ' '.join(f'{v:.6f}' for v in run['losses'][name]))
    gaps = {k: max(abs(a - b) for a, b in zip(one['losses'][k], two['losses'][k])) for k in one['losses']}
    print('files of the run in two processes:', *two['files'])
    result('processes', precision='single' if args.single else 'double', n=args.images, bs=args.bs, epochs=2 * args.epochs, largest_difference=gaps, seen_one=counts(one, args), seen_two=counts(two, args),
           shares=[len(p) for p in two['seen']], files=two['files'], same_files=one['files'] == two['files'], same_best=(one['best']['phase'], one['best']['epoch']) == (two['best']['phase'], two['best']['epoch']),
           time_ratio=round(two['seconds'] / one['seconds'], 3))

if __name__ == '__main__': main()
