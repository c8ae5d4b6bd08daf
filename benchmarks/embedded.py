#!/usr/bin/env python
"""One protocol for every candidate of the embedded detector: what is each way of training worth on generators, cameras and files it has not seen?

`python benchmarks/embedded.py run NAME ...` trains candidates on the folds, two at a time with one thread each, and prints the table; `table` prints what there is; `names` lists the candidates.
Every fold leaves fake domains and real sources out together, a generator with the reals of its fair pair, so over the three folds each of the large ones is unseen once. The network trains on the `train` rows of the rest,
its epoch and its thresholds are chosen on their `valid` rows, and it is judged on these and on the train and valid rows of what was left out. The test split is not read here: it is for the finalists (`final.py`).
Groups under 80 images are pooled. Intervals are 95 %: by bootstrap or Wilson, within a fold; the seeds of training are not in them.
Scores of a finished fold are kept in `--keep`, so a run that was killed goes on."""
import argparse, json, os, subprocess, sys, tempfile, time, warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from common import need, result, say, shared_dir

WEIGHTS = 'mobilenetv2_100.imagenet_fp16.pth'
SMALL = ('official', 'deepface', 'celeba', 'celeb_realign', 'celeba_hq', 'mls', 'nba')          # under 80 images each
FOLDS = dict(A=dict(fake=('stylegan1', 'pggan', 'sd21'), real=('ffhq', 'mebeauty')),
             B=dict(fake=('ciplab_photoshop', 'generated_photos'), real=('ciplab_real', 'utkface', 'prajna')),
             C=dict(fake=('dfdc_swap', 'began', 'sdxl'), real=('dfdc_original', 'aaf_original', 'rmfd', *SMALL)))
TIERS = ('web-relative', 'hard-relative')

def parse_args():
    "The command line"
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('what', choices=['run', 'fit', 'table', 'names'])
    p.add_argument('names', nargs='*', help='candidates; all by default')
    p.add_argument('--data', type=Path, default=shared_dir()/'data', help='folder with items.csv and pairs.csv')
    p.add_argument('--keep', type=Path, default=Path(tempfile.gettempdir())/'embedded', help='folder for scores')
    p.add_argument('--folds', nargs='+', default=list(FOLDS), choices=list(FOLDS))
    p.add_argument('--epochs', type=int, default=2, help='of the whole network')
    p.add_argument('--size', type=int, default=128, help='side of the square, pixels')
    p.add_argument('--workers', type=int, default=2, help='trainings at a time')
    p.add_argument('--cap', type=int, help='training images a domain, for a trial')
    p.add_argument('--seed', type=int, default=0)
    return p.parse_args()

# --- Candidates ---

def candidates(args):
    "Every candidate by name: a recipe, scaled to the budget of the screening"
    from face_fake_or_not.image import Spec
    from face_fake_or_not.recipe import Recipe, get_recipe
    from face_fake_or_not.schedule import Phase
    from face_fake_or_not.transforms import STRONG_DELIVERY
    e, px = args.epochs, args.size
    seed = {f'seed-00{i}': get_recipe(f'seed-00{i}').scaled(epochs=n, size=px) for i, n in enumerate((max(1, e//2), max(1, e//2), e, max(1, e//2), 10))}
    first, second = seed['seed-001'].stages                     # 1,024 px at its end: in proportion the first would see 32 px
    seed['seed-001'] = replace(seed['seed-001'], stages=(replace(first, size=max(64, px//2)), second), ema=.99)
    alls = lambda n, lr=1e-3: (Phase('all', n, lr, wd=.05),)
    base = Recipe('base', spec=Spec(px, 'native', round(px*1.5)), phases=alls(e), ema=.99, flip=False)
    strong = {**STRONG_DELIVERY}
    made = dict(self_blend=dict(p=.2), up_conv=dict(p=.2))
    ours = dict(base=base,
        plain=replace(base, delivery=None),
        strong=replace(base, delivery=strong),
        resize=replace(base, spec=Spec(px)),
        harmonise=replace(base, harmonise=True),
        pairs50=replace(base, pair_share=.35),
        blend=replace(base, made=dict(self_blend=dict(p=.25))),
        upconv=replace(base, made=dict(up_conv=dict(p=.25))),
        made=replace(base, made=made),
        made_strong=replace(base, made=made, delivery=strong),
        no_ema=replace(base, ema=None),
        unbalanced=replace(base, balance='label', pair_share=.5),
        progressive=replace(base, phases=(Phase('head', 1, 3e-3, 'head'), Phase('last', 1, 1e-3, 'last'), *alls(e))),
        linear=replace(base, phases=(Phase('head', 10, 3e-3, 'head'),)),
    )
    return {n: replace(r, name=n, precision='bf16', report_n=None) for n, r in {**seed, **ours}.items()}

# --- One fold ---

def read(args):
    "Manifest without the test split, and the fair pairs"
    from face_fake_or_not.items import face_items
    items, pairs = face_items(csv=need(args.data/'items.csv', 'The manifest'), check=False), pd.read_csv(args.data/'pairs.csv')
    return items[items.split != 'test'].reset_index(drop=True), pairs

def divided(items, fold, cap=None, seed=0):
    "What a fold trains and validates on, and what it is judged on: the valid rows of these and at most 200 of each domain that was left out"
    out = np.array([d in fold[l] for l, d in zip(items.label, items.domain)])
    seen = items[~out]
    left = pd.concat([d.sample(min(len(d), 200), random_state=seed) for _, d in items[out].groupby(['label', 'domain'])])
    judged = pd.concat([seen[seen.split == 'valid'].assign(role='seen'), left.assign(role='out')], ignore_index=True)
    if cap: seen = pd.concat([d.sample(min(len(d), cap), random_state=seed) for _, d in seen.groupby(['label', 'domain', 'split'])])
    return seen.reset_index(drop=True), judged

def fit(args, name, fold):
    "Train a candidate on a fold and keep its scores"
    import torch
    torch.set_num_threads(1)
    from face_fake_or_not.core import atomic_path, seed_everything
    from face_fake_or_not.harmonise import fit_law
    from face_fake_or_not.recipes import fit_recipe, recipe_learner
    start, (items, pairs), recipe = time.time(), read(args), replace(candidates(args)[name], seed=args.seed)
    seen, judged = divided(items, FOLDS[fold], args.cap)
    if recipe.harmonise: recipe = replace(recipe, spec=replace(recipe.spec, law=fit_law(seen[seen.split == 'train'], spec=recipe.spec)))
    weights = need(args.data.resolve().parent/'weights'/WEIGHTS, 'The backbone')
    with tempfile.TemporaryDirectory() as tmp:
        arch = recipe.arch if recipe.arch and not recipe.name.startswith('seed') else None
        learn = recipe_learner(replace(recipe, arch=arch), seen, pairs, None if arch else weights, not arch, tmp, 0)
        with learn.no_bar(), learn.no_logging(): fit_recipe(learn, recipe, seen, pairs, 0)
        learn.model.flip = recipe.flip
        took = time.time() - start
        scores = scored(learn, judged)
    with atomic_path(kept(args, name, fold)) as tmp: scores.to_csv(tmp, index=False)
    say(f'{name} {fold}: trained in {took:.0f} s, all {time.time() - start:.0f} s, best {learn.best}')

def scored(learn, judged):
    "Scores of all judged photos as they are, and of a spread of them as readers get them"
    from face_fake_or_not.tiers import degrade
    few = pd.concat([d.sample(min(len(d), 30), random_state=0) for _, d in judged.groupby(['role', 'label', 'domain'])])
    out = [judged.assign(condition='clean', score=learn.scores(judged))]
    for tier in TIERS: out.append(few.assign(condition=tier, score=learn.scores([degrade(p, tier) for p in few.path])))
    table = pd.concat(out, ignore_index=True)
    return table.assign(path=[f'{Path(p).parent.name}/{Path(p).name}' for p in table.path])

def kept(args, name, fold): return args.keep/f'{args.size}px-{args.epochs}e-{args.seed}'/f'{name}-{fold}.csv'

# --- What a candidate is worth ---

def cut_at(reals, fpr=.05):
    "The conformal threshold of some reals' scores"
    from face_fake_or_not.thresholds import conformal_cut
    return conformal_cut(reals.score, fpr, list(reals.group.fillna('')))

def judge_fold(df, pairs):
    "Figures of one fold, each domain's in a row of its own"
    from face_fake_or_not.intervals import auc_interval, rate
    from face_fake_or_not.thresholds import best_balanced
    clean = df[df.condition == 'clean']
    seen, left = clean[clean.role == 'seen'], clean[clean.role == 'out']
    cut, middle = cut_at(seen[seen.label == 'real']), best_balanced(seen.label, seen.score)
    rows = [dict(kind='seen', domain='all', n=len(seen), **auc_of(seen))]
    for (label, domain), d in left.assign(domain=left.domain.where(~left.domain.isin(SMALL), 'small')).groupby(['label', 'domain']):
        both = pd.concat([d, seen[seen.label != label]])
        share = dict(zip(('called', 'called_lo', 'called_hi'), rate(d.score >= cut, list(d.group.fillna('')))))
        rows.append(dict(kind=label, domain=domain, n=len(d), **auc_of(both), **share))
    for p in pairs.itertuples():
        d = clean[((clean.label == 'fake') & (clean.domain == p.fake)) | ((clean.label == 'real') & (clean.domain == p.real))]
        if d.label.nunique() == 2: rows.append(dict(kind=f'pair {d.role.iloc[0]}', domain=p.fake, n=len(d), **auc_of(d)))
    return rows + [tier_row(df, role, tier, middle) for role in ('seen', 'out') for tier in ('clean', *TIERS)]

def auc_of(d):
    "AUC with its interval"
    from face_fake_or_not.intervals import auc_interval
    return dict(zip(('auc', 'lo', 'hi'), auc_interval((d.label == 'fake').to_numpy(), d.score, list(d.group.fillna('')), n=200)))

def tier_row(df, role, tier, middle):
    "Balanced accuracy at the threshold of the clean validation photos, and how many verdicts differ from the clean ones, on the photos that have both"
    d = df[df.role == role]
    d = d[d.path.isin(d.path[d.condition == TIERS[0]])]
    t, clean = d[d.condition == tier].set_index('path'), d[d.condition == 'clean'].set_index('path')
    called, fake = t.score >= middle, t.label == 'fake'
    return dict(kind=f'tier {role}', domain=tier, n=len(t), auc=auc_of(t)['auc'], balanced=(called[fake].mean() + 1 - called[~fake].mean()) / 2, flips=float((called != (clean.score >= middle).reindex(t.index)).mean()))

def figures(args, name, pairs):
    "One row of a candidate's table from the folds there are"
    rows = []
    for f in args.folds:
        if kept(args, name, f).is_file(): rows += [dict(fold=f, **r) for r in judge_fold(pd.read_csv(kept(args, name, f)), pairs)]
    if not rows: return None, None
    t = pd.DataFrame(rows)
    of = lambda kind, domain=None: t[(t.kind == kind) & ((t.domain == domain) if domain else True)]
    fakes, reals = of('fake'), of('real')
    big = lambda d: d[d.n >= 80]
    row = dict(name=name, folds=''.join(t.fold.unique()), seen=of('seen').auc.mean(), **{f'pair_{p[:5]}': of('pair seen', p).auc.mean() for p in pairs.fake},
               out_fake=big(fakes).auc.mean(), out_fake_min=big(fakes).auc.min(), out_real=big(reals).auc.mean(), out_real_min=big(reals).auc.min(), fpr_out=big(reals).called.mean(), fpr_out_max=big(reals).called.max(),
               caught_out=big(fakes).called.mean(), pair_out=of('pair out').auc.mean(), **{f'{role[:1]}_{tier[:4]}': of(f'tier {role}', tier).balanced.mean() for role in ('seen', 'out') for tier in ('clean', *TIERS)},
               flips_hard=of('tier seen', TIERS[1]).flips.mean())
    return row, t.assign(name=name)

def table(args, names):
    "The table of what has been trained"
    pairs = pd.read_csv(args.data/'pairs.csv')
    found = [figures(args, n, pairs) for n in names]
    rows, parts = [r for r, _ in found if r], [t for r, t in found if r]
    if not rows: sys.exit('nothing has been trained yet: run')
    df, detail = pd.DataFrame(rows), pd.concat(parts, ignore_index=True)
    pd.set_option('display.width', 300, 'display.max_columns', 50)
    print(df.round(3).to_string(index=False)); print()
    by = detail[detail.kind.isin(['fake', 'real', 'pair out'])]
    print(by.pivot_table(index='name', columns=['kind', 'domain'], values='auc').round(2).reindex(df.name).to_string())
    return df, detail

# --- Several at a time ---

def run(args, names):
    "Train what is missing, each in a process of its own"
    todo = [(n, f) for n in names for f in args.folds if not kept(args, n, f).is_file()]
    env = dict(os.environ, OMP_NUM_THREADS='1', OMP_WAIT_POLICY='PASSIVE')
    def one(job):
        cmd = [sys.executable, __file__, 'fit', *job, '--data', args.data, '--keep', args.keep, '--epochs', args.epochs, '--size', args.size, '--seed', args.seed, *(['--cap', args.cap] if args.cap else [])]
        if subprocess.run([str(c) for c in cmd], env=env, stdout=subprocess.DEVNULL).returncode: say(f'{" ".join(job)} failed')
    with ThreadPoolExecutor(args.workers) as pool: list(pool.map(one, todo))

def main():
    "The last line is JSON"
    args = parse_args()
    warnings.filterwarnings('ignore')
    if args.what == 'fit': return fit(args, *args.names)
    known = candidates(args)
    if odd := set(args.names) - set(known): sys.exit(f'no candidate {", ".join(odd)}; there are {", ".join(known)}')
    names = args.names or list(known)
    if args.what == 'names': return print('\n'.join(names))
    if args.what == 'run': run(args, names)
    df, _ = table(args, names)
    result('embedded', epochs=args.epochs, size=args.size, seed=args.seed, table=[{k: round(v, 4) if isinstance(v, float) else v for k, v in r.items()} for r in df.astype(object).where(df.notna(), None).to_dict('records')])

if __name__ == '__main__': main()
