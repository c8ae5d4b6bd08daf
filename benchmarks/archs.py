#!/usr/bin/env python
"""Backbones by data sets: the comparison that seed 002 drew in words ("average", "high"), with figures and their intervals.

`python benchmarks/archs.py` trains each backbone on each fair pair of the real faces by seed-002's schedule (head, then the last stage, then all) and judges it
on the pair's test split, at the threshold that is best on its validation split: rows are backbones, columns data sets, cells balanced accuracy with its 95 %
interval, which resamples whole groups. Beside them the parameters, and how many images a second the network trains on and judges, as a ratio to the first row:
the network alone on random pixels, the rows in turn, so that loading images does not count. The scale `real` takes all images at 224 pixels and the schedule's
own epochs; pretrained weights are downloaded. It is meant for a GPU.

Offline: `python benchmarks/archs.py --no-pretrained --scale tiny`. Random weights then: seed-002's schedule starts with a frozen body, which is worth something
only when it was trained, so such a table shows that every backbone runs and how fast it is, and nothing of what it can learn. A row may also be a weights file
with its JSON beside it, as MobileNetV2 of the shared weights is; it stays trained then. The column `weights` says which is which.

The two sets of seed 002 were the 140k faces and WildDeepfake. Of the first a part is at hand (stylegan1/ffhq); for the second, face swaps of another collection
(dfdc_swap/dfdc_original) stand in.

In a notebook, with `benchmarks` on `sys.path` and manifests of your own (`face_items`, with splits):

    from archs import compare, wide
    wide(compare(['resnet18', 'convnext_tiny'], {'mine': items}, size=224, epochs=4))"""
import argparse, os, sys, tempfile, time, warnings
from pathlib import Path

os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')           # see schedule.py

import pandas as pd

from common import need, peak_mib, result, say, shared_dir

ARCHS = ('resnet18', 'resnet50', 'resnet101', 'convnext_tiny', 'vit_tiny_patch16_224')
LOCAL = 'mobilenetv2_100.imagenet_fp16.pth'
PAIRS = ('stylegan1/ffhq', 'dfdc_swap/dfdc_original')
SCALES = dict(real=dict(n=None, size=224, epochs=4, bs=32), tiny=dict(n=64, size=64, epochs=1, bs=16))

def parse_args():
    "The command line; what is not given comes from the scale"
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--data', type=Path, default=shared_dir()/'data', help='folder with items.csv')
    p.add_argument('--archs', nargs='+', help=f'names of timm or torchvision, or weights files (default: {" ".join(ARCHS)}, and {LOCAL} of the shared weights where it is)')
    p.add_argument('--sets', nargs='+', default=PAIRS, help='fair pairs as FAKE/REAL, two domains of the manifest')
    p.add_argument('--scale', choices=SCALES, default='real')
    p.add_argument('--n', type=int, help='at most so many training and as many test images of each set, half as many for validation; default: all, or 64 where tiny')
    p.add_argument('--size', type=int, help='side of the square in pixels; default 224 or 64')
    p.add_argument('--epochs', type=int, help="of the last phase, those before in proportion; default 4 or 1")
    p.add_argument('--bs', type=int, help='default 32 or 16')
    p.add_argument('--no-pretrained', dest='pretrained', action='store_false', help='random weights, but for rows that are weights files')
    p.add_argument('--precision', default='fp32', help='bf16 or fp16 on a GPU')
    p.add_argument('--workers', type=int, default=0, help='processes that load images')
    p.add_argument('--seed', type=int, default=42)
    args = p.parse_args()
    for k, v in SCALES[args.scale].items(): setattr(args, k, v if getattr(args, k) is None else getattr(args, k))
    local = args.data.resolve().parent/'weights'/LOCAL
    args.archs = args.archs or [*ARCHS, *([str(local)] if local.is_file() else [])]
    return args

# --- Data sets ---

def pair_set(items, pair, n=None, seed=42):
    "The images of a fair pair FAKE/REAL with their splits, at most `n` for training and for the test; as many of each label"
    fake, _, real = pair.partition('/')
    mine = items[((items.domain == fake) & (items.label == 'fake')) | ((items.domain == real) & (items.label == 'real'))]
    if mine.label.nunique() < 2: sys.exit(f'{pair}: expected FAKE/REAL, two of the domains {", ".join(sorted(items.domain.unique()))}')
    if n is None: return mine.reset_index(drop=True)
    some = lambda d, k: d.sample(min(len(d), max(1, k // 2)), random_state=seed)
    parts = [some(d, n // 2 if split == 'valid' else n) for (_, split), d in mine.groupby(['label', 'split'])]
    return pd.concat(parts, ignore_index=True)

# --- Backbones ---

def source(arch):
    "The name of a row, and its weights file if it is one"
    file = Path(arch)
    if file.suffix not in ('.pth', '.safetensors'): return arch, None
    from face_fake_or_not.learner import read_weights
    return read_weights(need(file, 'The weights'))[1]['arch'], file

def row_learner(arch, items, path, size, epochs, bs, pretrained=True, precision='fp32', workers=0, seed=42):
    "seed-002's recipe with another backbone, and a learner for it"
    from dataclasses import replace
    from face_fake_or_not.recipe import get_recipe
    from face_fake_or_not.recipes import recipe_learner
    name, weights = source(arch)
    recipe = replace(get_recipe('seed-002').scaled(epochs, size, name, bs), seed=seed, precision=precision)
    return recipe, recipe_learner(recipe, items, None, weights, pretrained, path, workers)

def judged(arch, items, **settings):
    "Train on the manifest's train split, choose a threshold on valid; figures of the test split, and seconds"
    from face_fake_or_not.calibrate import best_balanced
    from face_fake_or_not.evaluate import set_figures
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as tmp:
        recipe, learn = row_learner(arch, items, tmp, **settings)
        with learn.no_bar(), learn.no_logging(): learn.fit_progressive(recipe.phases, cache=recipe.cache)
        parts = [items[items.split == s].reset_index(drop=True) for s in ('valid', 'test')]
        valid, test = [d.assign(score=learn.scores(d)) for d in parts]
    at = best_balanced(valid.label, valid.score)
    found = {k: float(v) for k, v in set_figures(test, at).items() if k.startswith(('balanced', 'auc'))}
    return dict(n=len(test), threshold=round(at, 4), **found, seconds=round(time.perf_counter() - start, 1))

# --- Speed of the networks alone ---

def network(arch, size):
    "A body with random weights and its head, as `face_learner` builds them; the numbers in the weights change nothing about the speed"
    import torch
    from face_fake_or_not.learner import FaceModel, create_body, create_face_head, size_kwargs
    name, _ = source(arch)
    body = create_body(name, **size_kwargs(name, size))
    model = FaceModel(body, create_face_head(body.num_features))
    return model.to('cuda' if torch.cuda.is_available() else 'cpu', memory_format=torch.channels_last)

def pass_seconds(model, x, train):
    "Seconds of one pass over a batch, with the way back when training"
    import torch
    model.train(train)
    done = torch.cuda.synchronize if x.is_cuda else lambda: None
    done()
    start = time.perf_counter()
    with torch.set_grad_enabled(train):
        out = model(x)
        if train: out.sum().backward()
    done()
    return time.perf_counter() - start

def speeds(archs, size, bs, repeats=7):
    "Parameters, and images a second in training and in use as ratios to the first row: the rows in turn, the fastest pass of each"
    import torch
    models = [network(a, size) for a in archs]
    x = torch.randn(bs, 3, size, size, device=next(models[0].parameters()).device).to(memory_format=torch.channels_last)
    keys = [(i, train) for i in range(len(archs)) for train in (True, False)]
    turns = [{(i, train): pass_seconds(models[i], x, train) for i, train in keys} for _ in range(repeats + 1)][1:]     # the first turn warms up
    best = {k: min(t[k] for t in turns) for k in keys}                        # other work on the machine only ever slows a pass down
    millions = [sum(p.numel() for p in m.parameters()) / 1e6 for m in models]
    return [dict(params_m=round(n, 2), train_speed=round(best[0, True] / best[i, True], 3), use_speed=round(best[0, False] / best[i, False], 3)) for i, n in enumerate(millions)]

# --- The table ---

def compare(archs, sets, size=224, epochs=4, bs=32, pretrained=True, precision='fp32', workers=0, seed=42):
    "Each backbone (a name, or a weights file) trained and judged on each of `sets` (name -> manifest with splits): a row for each of both, figures with 95 % intervals"
    say(f'timing {len(archs)} networks')
    quick, rows = speeds(archs, size, bs), []
    for arch, speed in zip(archs, quick):
        name, file = source(arch)
        for title, items in sets.items():
            say(f'{name} on {title}')
            known = dict(arch=name, weights=file.name if file else 'pretrained' if pretrained else 'random', set=title)
            rows.append(known | speed | judged(arch, items, size=size, epochs=epochs, bs=bs, pretrained=pretrained, precision=precision, workers=workers, seed=seed))
    return pd.DataFrame(rows)

def wide(table):
    "The long table of `compare` as seed 002 drew it: backbones by data sets"
    cell = lambda r: f'{r.balanced:.3f} ({r.balanced_lo:.3f}-{r.balanced_hi:.3f}), n {r.n}'
    known = ['arch', 'weights', 'params_m', 'train_speed', 'use_speed']
    return pd.DataFrame([dict(zip(known, k), **{r.set: cell(r) for r in d.itertuples()}) for k, d in table.groupby(known, sort=False)])

def warn_of_random(table):
    "Nobody shall take a table of random weights for a comparison"
    some = table[table.weights == 'random'].arch.unique()
    if not len(some): return
    line = f'RANDOM WEIGHTS in {", ".join(some)}: these rows show that the backbone runs and how fast it is, NOT what it can learn. For a comparison run without --no-pretrained.'
    print(f'{"!" * 20}\n{line}\n{"!" * 20}')

def main():
    "Make the table; the last line is JSON"
    from face_fake_or_not.core import WeightsError
    from face_fake_or_not.items import face_items
    args = parse_args()
    warnings.filterwarnings('ignore')
    items = face_items(csv=need(args.data/'items.csv', 'The manifest'), check=False)
    sets, start = {p: pair_set(items, p, args.n, args.seed) for p in args.sets}, time.perf_counter()
    try: table = compare(args.archs, sets, **{k: getattr(args, k) for k in ('size', 'epochs', 'bs', 'pretrained', 'precision', 'workers', 'seed')})
    except WeightsError as e: sys.exit(f'error: {e}')
    warn_of_random(table)
    print(wide(table).to_string(index=False))
    print(f'Balanced accuracy at the best threshold of the validation split (95 % interval), n test images; speeds as ratios to {table.arch.iloc[0]}: training, use.')
    rows = [{k: round(v, 4) if isinstance(v, float) else v for k, v in r.items()} for r in table.to_dict('records')]
    result('archs', scale=args.scale, n=args.n, size=args.size, epochs=args.epochs, bs=args.bs, random=bool((table.weights == 'random').any()),
           seconds=round(time.perf_counter() - start, 1), peak_mib=round(peak_mib()), rows=rows)

if __name__ == '__main__': main()
