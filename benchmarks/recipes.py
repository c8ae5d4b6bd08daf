#!/usr/bin/env python
"""All five seed recipes end to end on a tenth of the real faces at small size: history, evaluation, thresholds and bundle of each.

`python benchmarks/recipes.py` draws a seeded tenth of the manifest (of each domain, label and split; splits stay), scales each recipe (`Recipe.scaled`: 2
epochs in its last phase and those before in proportion, 96 pixels, batches of 16) and runs it through `run_recipe` into a temporary folder. It then checks what
a run must leave behind: `history.csv` with every stage and phase in order and as many epochs as the recipe says, finite losses, `evaluation.json` of the test
split, `thresholds.csv`, the list of hard examples where a stage has one, and a bundle that `load_detector` loads and whose scores are those of the learner. A
check that fails ends the benchmark with exit status 1, after the table.

What this does not say: which recipe is better. Two epochs on a tenth at 96 pixels say nothing of a recipe's worth, the intervals are wide, and a recipe that
never unfreezes the body has an easier task in two epochs than one that trains everything from the first. The backbone is not the seeds' either: MobileNetV2 of
the shared weights stands for ResNet-50 and ConvNeXt-Tiny, whose weights must be downloaded (`--arch resnet50` does so). Sizes are scaled in proportion to the
last stage: seed-001's second stage is 1024 pixels, so at 96 its first stage (224) becomes 21."""
import argparse, os, sys, tempfile, time, warnings
from contextlib import redirect_stdout
from pathlib import Path

os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')           # see schedule.py
os.environ.setdefault('MPLBACKEND', 'agg')

import numpy as np, pandas as pd

from common import need, peak_mib, result, say, shared_dir

SEEDS = ('seed-000', 'seed-001', 'seed-002', 'seed-003', 'seed-004')
WEIGHTS = 'mobilenetv2_100.imagenet_fp16.pth'

def parse_args():
    "The command line"
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--data', type=Path, default=shared_dir()/'data', help='folder with items.csv')
    p.add_argument('--recipes', nargs='+', default=SEEDS, help='names of recipes')
    p.add_argument('--share', type=float, default=.1, help='of each domain, label and split')
    p.add_argument('--size', type=int, default=96, help='side of the square that the finished network sees, pixels')
    p.add_argument('--epochs', type=int, default=2, help='of the last phase')
    p.add_argument('--bs', type=int, default=16)
    p.add_argument('--arch', help="download this backbone's weights instead; 'own': each recipe's own")
    p.add_argument('--weights', type=Path, help=f'weights file with its JSON (default: {WEIGHTS} of the shared weights)')
    p.add_argument('--workers', type=int, default=0, help='processes that load images')
    p.add_argument('--seed', type=int, default=42, help='of the tenth')
    p.add_argument('--keep', type=Path, help='keep the run folders here')
    args = p.parse_args()
    if not 0 < args.share <= 1: p.error('--share: more than 0, at most 1')
    if args.arch and args.weights: p.error('choose one of --arch and --weights')
    return args

# --- Data and recipe ---

def tenth(data, share, seed):
    "A seeded share of each domain, label and split, one image at least; whole groups are not needed, since splits stay"
    from face_fake_or_not.items import face_items
    items = face_items(csv=need(data/'items.csv', 'The manifest'), check=False)
    parts = [d.sample(max(1, round(share * len(d))), random_state=seed) for _, d in items.groupby(['domain', 'label', 'split'])]
    return pd.concat(parts).sort_index().reset_index(drop=True)

def small(name, args):
    "The recipe at the size of the benchmark, and where its weights come from"
    from face_fake_or_not.core import read_json
    from face_fake_or_not.recipe import get_recipe
    own = get_recipe(name)
    if args.arch: return own.scaled(args.epochs, args.size, None if args.arch == 'own' else args.arch, args.bs), None
    file = args.weights or need(args.data.resolve().parent/'weights'/WEIGHTS, 'The backbone')
    return own.scaled(args.epochs, args.size, read_json(file.with_suffix('.json'))['arch'], args.bs), file

def sizes(recipe): return [s.size or recipe.spec.size for s in recipe.stages] or [recipe.spec.size]

# --- Checks ---

def wanted_history(recipe):
    "(stage, phase) of every epoch a recipe asks for"
    steps = [(s.name, s.phases) for s in recipe.stages] or [('', recipe.phases)]
    return [(stage, p.name) for stage, phases in steps for p in phases for _ in range(p.epochs)]

def history_problem(recipe, path):
    "What is wrong with history.csv; a phase with `patience` may end early"
    h = pd.read_csv(path, keep_default_na=False)
    got, want = list(zip(h.stage, h.phase)), wanted_history(recipe)
    if any(p.patience and p.patience < p.epochs for p in recipe.all_phases): got, want = list(dict.fromkeys(got)), list(dict.fromkeys(want))
    if got != want: return f'history has {got}, the recipe says {want}'
    bad = [c for c in ('train_loss', 'valid_loss', recipe.monitor) if not np.isfinite(h[c].astype(float)).all()]
    if bad: return f'history: {", ".join(bad)} is not finite'

def bundle_gap(run, items):
    "The largest difference between the learner's and the bundle's score on three images of the test split"
    from face_fake_or_not.detector import load_detector
    three = items[items.split == 'test'].groupby('label').head(2).head(3).path.tolist()
    return float(np.abs(run.learn.scores(three) - load_detector(run.bundle).scores(three)).max())

def problems(recipe, run, items, gap):
    "Everything that a run left undone"
    from face_fake_or_not.core import read_json
    files = ['recipe.json', 'run.json', 'items.csv', 'history.csv', 'thresholds.csv', 'evaluation.json', 'export.pkl', 'models/best.pth', 'bundle/detector.json', 'bundle/README.md']
    files += [f'stages/{s.name}.csv' for s in recipe.stages if s.hardest]
    if gone := [f for f in files if not (run.path/f).is_file()]: return [f'no {", ".join(gone)}']
    ev, at = read_json(run.path/'evaluation.json'), pd.read_csv(run.path/'thresholds.csv', keep_default_na=False)
    found = [history_problem(recipe, run.path/'history.csv'), gap > 1e-3 and f"the bundle's scores differ by {gap:.2g}",
             ev['n'] != (items.split == 'test').sum() and f'evaluated {ev["n"]} images, the test split has {(items.split == "test").sum()}',
             (at.domain.iloc[0] != 'all' or not at.threshold.between(0, 1).all()) and 'thresholds.csv does not begin with all, or holds no probabilities',
             (run.path/'checkpoint.pt').exists() and 'checkpoint.pt was left']
    return [f for f in found if f]

# --- One recipe ---

def measure(name, items, pairs, args, folder):
    "Run a recipe; its row of the table"
    from face_fake_or_not.recipes import run_recipe
    recipe, weights = small(name, args)
    say(f'{name}: sizes {sizes(recipe)}, {len(wanted_history(recipe))} epochs')
    start = time.perf_counter()
    with redirect_stdout(sys.stderr): run = run_recipe(recipe, items, folder/name, pairs, weights, num_workers=args.workers)   # fastai prints its epochs
    seconds = time.perf_counter() - start
    gap = bundle_gap(run, items)
    cached, all_ = [c['cached'] for c in run.learn.caching], run.evaluation.table.iloc[0]
    span = lambda c: [round(float(all_[f'{c}_{end}']), 4) for end in ('lo', 'hi')]
    return dict(recipe=name, arch=run.learn.meta['arch'], sizes=sizes(recipe), epochs=len(run.learn.history), seconds=round(seconds, 1), cached=f'{sum(cached)}/{len(cached)}',
                test_n=len(run.evaluation.scores), auc=round(float(all_.auc), 4), auc_interval=span('auc'), balanced=round(float(all_.balanced), 4), balanced_interval=span('balanced'),
                bundle_gap=gap, problems=problems(recipe, run, items, gap))

def printed(rows):
    "The table for a terminal; seconds against the first recipe, since a machine's own say little"
    span = lambda v, lo_hi: f'{v:.3f} ({lo_hi[0]:.3f}-{lo_hi[1]:.3f})'
    row = lambda r: dict(recipe=r['recipe'], sizes='+'.join(map(str, dict.fromkeys(r['sizes']))), epochs=r['epochs'], seconds=r['seconds'],
                         ratio=round(r['seconds'] / rows[0]['seconds'], 2), cached=r['cached'], test_n=r['test_n'], AUC=span(r['auc'], r['auc_interval']),
                         balanced=span(r['balanced'], r['balanced_interval']), gap=f'{r["bundle_gap"]:.1e}', checks='; '.join(r['problems']) or 'ok')
    return pd.DataFrame([row(r) for r in rows]).to_string(index=False)

def run_all(args):
    "Every recipe, the table, the result"
    for name in args.recipes: small(name, args)               # a wrong name shall not be found out after an hour
    warnings.filterwarnings('ignore')
    items = tenth(args.data, args.share, args.seed)
    pairs = pd.read_csv(args.data/'pairs.csv') if (args.data/'pairs.csv').is_file() else None
    say(f'{len(items)} images: {items.split.value_counts().to_dict()}, {items.label.value_counts().to_dict()}')
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as tmp: rows = [measure(n, items, pairs, args, args.keep or Path(tmp)) for n in args.recipes]
    print(printed(rows))
    print(f'95 % intervals. {args.epochs} epoch{"s" * (args.epochs > 1)} on {len(items)} images at {args.size} px say nothing of a recipe\'s worth, '
          f'and {rows[0]["arch"]} is not the backbone of every seed: this shows that each runs to its end.')
    bad = any(r['problems'] for r in rows)
    result('recipes', n=len(items), splits=items.split.value_counts().to_dict(), size=args.size, epochs=args.epochs, bs=args.bs, ok=not bad,
           seconds=round(time.perf_counter() - start, 1), peak_mib=round(peak_mib()), recipes=rows)
    if bad: sys.exit(1)

def main():
    "Run the recipes; the last line is JSON"
    from face_fake_or_not.core import FaceFakeError
    args = parse_args()
    try: run_all(args)
    except FaceFakeError as e: sys.exit(f'error: {e}')

if __name__ == '__main__': main()
