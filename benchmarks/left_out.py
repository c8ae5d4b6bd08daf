#!/usr/bin/env python
"""Leave every generator and every source of real photos out in turn: what is a detector worth on what it never saw?

`python benchmarks/left_out.py` judges on real faces (items.csv, pairs.csv):
metadata only: a forest on what files say of themselves, no pixel; on these sets sizes and qualities differ between the sources, so it shows what a figure is worth that no fair pair backs;
frozen linear: a logistic regression on features of an ImageNet backbone, on the files as they are and on one history of scale and codec for all (`fit_law` on the training items);
trained: the whole network, anew for each fold, on a draw of at most `--cap` training images a domain; the linear model on the same draw stands beside it, so that the two differ in the training alone.
Each has the mean and the worst fold: AUC of a generator left out against the test reals of the other sources, and of a source of reals left out against the test fakes; the share of reals called fake at the threshold that
the validation images of the remaining sources choose for 5 %; and the fair pairs, whose AUC no file fact can lift. Intervals are 95 %, by group. A generator left out with the reals of its pair is a table of its own.
A fold that judges fewer than 80 images is shown and not counted in mean and worst. The frozen version is timed with and without the pass that computes the features.
Scores and features are kept in `--keep`, so a run that was killed goes on; another setting of the training needs another folder."""
import argparse, os, tempfile, time, warnings
from pathlib import Path

os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')           # see schedule.py

import pandas as pd

from common import need, peak_mib, plain, result, say, shared_dir

WEIGHTS = 'mobilenetv2_100.imagenet_fp16.pth'
NAMES = dict(raw='frozen linear', law='frozen linear, one history')

def parse_args():
    "The command line"
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--data', type=Path, default=shared_dir()/'data', help='folder with items.csv and pairs.csv')
    p.add_argument('--weights', type=Path, help=f'weights file with its JSON (default: {WEIGHTS} of the shared weights)')
    p.add_argument('--keep', type=Path, default=Path(tempfile.gettempdir())/'left_out', help='folder for features and scores')
    p.add_argument('--n', type=int, help='only so many images, for a trial')
    p.add_argument('--size', type=int, default=128, help='side of the window the frozen network sees, pixels')
    p.add_argument('--train-size', type=int, default=96, help='the same for the trained one')
    p.add_argument('--cap', type=int, default=60, help='training images a domain of the trained model')
    p.add_argument('--epochs', type=int, default=2, help='of the whole network, after one of the head')
    p.add_argument('--bs', type=int, default=16)
    p.add_argument('--folds', nargs='+', help='only these folds of the trained model, by name')
    p.add_argument('--no-train', action='store_true', help='metadata and frozen features alone')
    p.add_argument('--seed', type=int, default=0)
    args = p.parse_args()
    args.weights = need(args.weights or args.data.resolve().parent/'weights'/WEIGHTS, 'The backbone')
    return args

def timed(f, *args, **kwargs):
    "What `f` returns, wall seconds, and CPU seconds"
    wall, cpu = time.perf_counter(), cpu_seconds()
    out = f(*args, **kwargs)
    return out, round(time.perf_counter() - wall, 1), round(cpu_seconds() - cpu, 1)

def cpu_seconds():
    "Of this process and of those that loaded images for it"
    t = os.times()
    return t.user + t.system + t.children_user + t.children_system

# --- Frozen features ---

def features(items, name, spec, args):
    "Features, and the seconds that the first pass and a second call take"
    from face_fake_or_not.generalise import frozen_features
    file, whole = args.keep/f'{name}.npz', args.keep/f'{name}_pass.csv'
    x, wall, cpu = timed(frozen_features, items, args.weights, spec=spec, path=file)
    if not whole.exists(): pd.DataFrame([dict(wall=wall, cpu=cpu, n=len(items))]).to_csv(whole, index=False)       # a run that goes on still knows what the pass took
    _, again, _ = timed(frozen_features, items, args.weights, spec=spec, path=file)
    say(f'{name}: {x.shape[1]} features of {len(x)} images, pass {wall} s, again {again} s')
    return x, dict(pd.read_csv(whole).iloc[0].to_dict(), again=again)

def frozen(items, pairs, args):
    "Metadata and linear models on everything, with their times"
    from face_fake_or_not.facts import facts_table
    from face_fake_or_not.generalise import leave_one_out
    from face_fake_or_not.harmonise import fit_law
    from face_fake_or_not.image import Spec
    facts, reading, _ = timed(facts_table, items)
    train = items.split == 'train'
    law = fit_law(items[train], facts[train])
    say(f'facts {reading} s; the law of the training items: {law.to_dict()}')
    spec, out, times = Spec(args.size, 'native'), [], dict(facts=dict(wall=reading))
    left, times['metadata'], _ = timed(leave_one_out, items, 'metadata', facts=facts, pairs=pairs)
    out.append(shown(left))
    xs = {}
    for name, s in (('raw', spec), ('law', Spec(args.size, 'native', law=law))):
        xs[name], times[f'{name}_pass'] = features(items, name, s, args)
        left, wall, cpu = timed(leave_one_out, items, features=xs[name], pairs=pairs, name=NAMES[name])
        times[f'{name}_folds'] = dict(wall=wall, cpu=cpu, folds=len(left.table))
        out.append(shown(left))
    return out, xs, times, law

def shown(left):
    "Print the folds of a result"
    print(f'\n{left.name}'); print(left.table[['kind', 'fold', 'n', 'n_other', 'known_auc', 'auc', 'lo', 'hi', 'tpr', 'caught', 'fpr', 'fpr_lo', 'fpr_hi', 'pair_auc', 'pair_auc_lo', 'pair_auc_hi', 'counted']].round(3).to_string(index=False), flush=True)
    return left

# --- The trained network ---

def fewest(cap): return cap * 7 // 6     # of a draw, so that it has the folds of the whole

def draw(items, cap, seed):
    "At most `cap` training images a domain, a third of that to validate, and as many as `cap` to test, by position"
    n = dict(train=cap, valid=max(8, cap // 3), test=cap)
    parts = [d.sample(min(len(d), n[s]), random_state=seed) for (_, _, s), d in items.groupby(['label', 'domain', 'split'])]
    return pd.concat(parts).sort_index()

def trained(items, pairs, args):
    "The trained network, fold by fold, with a running table"
    from face_fake_or_not.generalise import learner_fit, leave_one_out, make_folds
    from face_fake_or_not.image import Spec
    from face_fake_or_not.schedule import Phase
    phases = (Phase('head', 1, 3e-3, 'head', sched='flat'), Phase('all', args.epochs, 1e-3, 'all', spread=10))
    fit = learner_fit(phases, Spec(args.train_size, 'native'), dict(bs=args.bs, num_workers=1), args.seed, arch=None, weights=args.weights)
    few = fewest(args.cap)
    settings = dict(pairs=pairs, folder=args.keep/'trained', name=f'trained {args.train_size} px, {args.cap} a domain, {args.epochs} epochs', min_images=few)
    todo = args.folds or list(dict.fromkeys(f.name for f in make_folds(items, min_images=few)))
    for i, name in enumerate(todo):
        left, wall, cpu = timed(leave_one_out, items, fit, folds=[name], n_boot=200, **settings)
        for r in left.table.itertuples(): say(f'{i+1}/{len(todo)} {r.kind} {r.fold}: AUC {r.auc:.3f} ({r.lo:.3f} to {r.hi:.3f}), reals called fake {r.fpr:.3f}, {wall} s, {cpu} CPU s')
    return leave_one_out(items, fit, folds=todo, **settings)

def on_the_draw(items, pairs, x, args):
    "The linear model and the trained one on the same draw"
    from face_fake_or_not.generalise import leave_one_out
    few = draw(items, args.cap, args.seed)
    say(f'the draw: {few.split.value_counts().to_dict()}')
    linear = leave_one_out(few, features=x[few.index], pairs=pairs, min_images=fewest(args.cap), folds=args.folds, name='frozen linear, the draw')
    return [shown(linear), shown(trained(few.reset_index(drop=True), pairs, args))]

def main():
    "Measure all; the last line is JSON"
    args = parse_args()
    warnings.filterwarnings('ignore')
    from face_fake_or_not.generalise import compare_left_out, cross_matrix, grid_of, leave_one_out, make_folds
    from face_fake_or_not.items import face_items
    items, pairs = face_items(csv=need(args.data/'items.csv', 'The manifest'), check=False), pd.read_csv(args.data/'pairs.csv')
    if args.n: items = items.sample(min(args.n, len(items)), random_state=args.seed).sort_index().reset_index(drop=True)
    outs, xs, times, law = frozen(items, pairs, args)
    both = [f.name for f in make_folds(items, pairs=pairs, together=True) if f.pair]
    pair_out = [shown(leave_one_out(items, features=xs[n], pairs=pairs, together=True, folds=both, name=f'{name}, with its pair')) for n, name in NAMES.items()]
    matrix, wall, _ = timed(cross_matrix, items, features=xs['law'], pairs=pairs)
    print(f'\nfrom generator to generator, one history, {wall} s'); print(grid_of(matrix).round(3).to_string(), flush=True)
    if not args.no_train: outs += on_the_draw(items, pairs, xs['raw'], args)
    table = compare_left_out(*outs, *pair_out)
    print(); print(table.round(3).to_string(index=False))
    result('left_out', n=len(items), law=law.to_dict(), size=args.size, train_size=args.train_size, cap=args.cap, epochs=args.epochs, times=times, matrix_s=wall, summary=plain(table),
           folds={o.name: plain(o.table.drop(columns='pair')) for o in outs}, matrix=plain(matrix), peak_mib=round(peak_mib()))

if __name__ == '__main__': main()
