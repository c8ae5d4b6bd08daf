#!/usr/bin/env python
"""One protocol for every candidate of the embedded detector: what is each way of training worth on generators, cameras and files it has not seen?

`python benchmarks/embedded.py run NAME ...` trains candidates on the folds, two at a time with one thread each, and prints the table; `table` prints what there is, `names` lists the candidates.
Every fold leaves fake domains and real sources out together, a generator with the reals of its fair pair; over the three folds each large one is unseen once. The network trains on the `train` rows of the rest, its epoch
and its thresholds are chosen on their `valid` rows, and it is judged on these and on at most 200 train and valid rows of each domain left out: AUC of a generator against the known reals, of a real source against the known
fakes, and of a pair when both sides are new. The test split is not read here: `card.py` reads it, for the detector that ships. Real sources under 80 images are pooled and count together; a group that is still smaller is shown, and counts in no mean or minimum.
Balanced accuracy and verdicts that turn are of the known domains. Intervals are 95 %, by group, from one draw over all folds; the chance of a training (its seed) is not in them: `--seed` repeats one. `--cap` takes fewer training images a domain, for the curve of figure against data.
Scores of a finished fold are kept in `--keep`, so a run that was killed goes on; after a change of a candidate or of the data give another folder. A candidate takes 2 to 8 minutes a fold on one core with bfloat16 instructions."""
import argparse, os, random, subprocess, sys, tempfile, time, warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from fasttransform import ItemTransform
from torch import full_like

from common import need, plain, result, say, shared_dir

WEIGHTS = 'mobilenetv2_100.imagenet_fp16.pth'
SMALL = ('official', 'deepface', 'celeba', 'celeb_realign', 'celeba_hq', 'mls', 'nba')          # under 80 images each
FOLDS = dict(A=dict(fake=('stylegan1', 'pggan', 'sd21'), real=('ffhq', 'mebeauty')),
             B=dict(fake=('ciplab_photoshop', 'generated_photos'), real=('ciplab_real', 'utkface', 'prajna')),
             C=dict(fake=('dfdc_swap', 'began', 'sdxl'), real=('dfdc_original', 'aaf_original', 'rmfd', *SMALL)))
TIERS = ('web-relative', 'hard-relative')
ENOUGH, BOOT = 80, 300                                          # images a domain needs to count, resamples

def parse_args():
    "The command line"
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('what', choices=['run', 'fit', 'table', 'names'])
    p.add_argument('names', nargs='*', help='candidates, all by default; for fit one of them and a fold')
    p.add_argument('--data', type=Path, default=shared_dir()/'data', help='folder with items.csv and pairs.csv')
    p.add_argument('--keep', type=Path, default=Path(tempfile.gettempdir())/'embedded', help='folder for scores')
    p.add_argument('--folds', nargs='+', default=list(FOLDS), choices=list(FOLDS))
    p.add_argument('--epochs', type=int, default=2, help='of the whole network, 2 by default; recipes with phases of their own are scaled')
    p.add_argument('--size', type=int, default=128, help='side of the square, pixels')
    p.add_argument('--workers', type=int, default=2, choices=range(1, 65), metavar='N', help='trainings at a time')
    p.add_argument('--cap', type=int, help='training images a domain, for a trial')
    p.add_argument('--seed', type=int, default=0)
    return p.parse_args()

# --- Candidates ---

def candidates(args):
    "Every candidate by name: a recipe, scaled to the budget of the screening, and what is done to its learner besides"
    from face_fake_or_not.image import Spec
    from face_fake_or_not.recipe import Recipe, get_recipe
    from face_fake_or_not.schedule import Phase
    from face_fake_or_not.transforms import STRONG_DELIVERY as strong
    e, px = args.epochs, args.size
    seeds = {f'seed-00{i}': get_recipe(f'seed-00{i}').scaled(epochs=n, size=px) for i, n in enumerate((max(1, e//2), max(1, e//2), e, max(1, e//2), 10))}
    first, second = seeds['seed-001'].stages                    # 1,024 px at its end: in proportion the first would see 32 px
    seeds['seed-001'] = replace(seeds['seed-001'], stages=(replace(first, size=max(64, px//2)), second), ema=.99)
    alls, made = lambda n, lr=1e-3: (Phase('all', n, lr, wd=.05),), dict(self_blend=dict(p=.2), up_conv=dict(p=.2))
    base = Recipe('base', spec=Spec(px, 'native', round(px*1.5)), phases=alls(e), ema=.99, flip=False)
    best = replace(base, delivery=strong, made=made)
    ship = replace(get_recipe('delivered').scaled(epochs=max(1, e//2), size=px), ema=.99, flip=False)
    ours = dict(delivered=ship, delivered_whole=replace(ship, spec=Spec(px)), base=base, strong=replace(base, delivery=strong), resize=replace(base, spec=Spec(px)), harmonise=replace(base, harmonise=True), unbalanced=replace(base, balance=None), no_ema=replace(base, ema=None),
        progressive=replace(base, phases=(Phase('head', 1, 3e-3, 'head'), Phase('last', 1, 1e-3, 'last'), *alls(e))), linear=replace(base, phases=(Phase('head', 10, 3e-3, 'head'),)),
        made_strong=best, made_long=replace(best, phases=alls(2*e)), made_heavy=replace(best, made=dict(self_blend=dict(p=.35), up_conv=dict(p=.35))), low=replace(best, delivery=strong | dict(floor=64, p_thumb=0., min_scale=.3)),
        whole=replace(best, spec=Spec(px)), whole_long=replace(best, spec=Spec(px), phases=alls(2*e)), wise=replace(best, spec=Spec(px), phases=(Phase('head', 2, 3e-3, 'head'), *alls(e))), norms=replace(best, spec=Spec(px), phases=(Phase('norms', 2*e, 3e-3, 'head', train_bn=True),)),
        hard_real=best, denoise=best, highpass=best, size160=replace(best, spec=Spec(160, 'native', 256)), scratch=replace(best, arch='regnetx_002', phases=alls(2*e, 3e-3)))
    hooks = dict(hard_real=lambda learn: add_made(learn, HardReal(.2)), denoise=lambda learn: add_made(learn, Denoised(.15)), highpass=residual)
    return {n: (replace(r, name=n, precision='bf16', report_n=None), hooks.get(n)) for n, r in {**seeds, **ours}.items()}

# --- Candidates that are no setting of a recipe ---

def add_made(learn, tfm):
    "Give the training images one more transform"
    tfm.learn = learn
    learn.dls.train.after_item.add(tfm)

class OnReals(ItemTransform):
    "Change a share of the real photos of training"
    order, split_idx = .7, 0                                    # before delivery, as whatever happens to a photo happens before it is sent
    def __init__(self, p):
        super().__init__()
        self.p = p

    def encodes(self, item):
        x, y = item
        if self.learn.dls.vocab[int(y)] != 'real' or random.random() >= self.p: return item
        return type(x)(self.changed(x)), self.label(y)

    def label(self, y): return y

class HardReal(OnReals):
    "Retouched, tone-mapped, night and enlarged photos that stay real"
    def changed(self, x):
        from face_fake_or_not.decode import open_image, to_rgb
        from face_fake_or_not.image import scale_short
        from face_fake_or_not.tiers import degrade
        kind = random.choice(('smoothed-skin', 'tone-mapped', 'night', ('upscaled', 'half and back'), ('upscaled', 'double')))
        return to_rgb(open_image(degrade(scale_short(to_rgb(x), min(300, *x.size)), *(kind if isinstance(kind, tuple) else (kind,)))))

class Denoised(OnReals):
    "Texture smoothed where it is weak, then sharpened, as a diffusion model's decoder does; a fake"
    def changed(self, x):
        from PIL import Image, ImageEnhance, ImageFilter
        from face_fake_or_not.decode import to_rgb
        a = np.asarray(to_rgb(x), np.float32)
        soft = np.asarray(to_rgb(x).filter(ImageFilter.GaussianBlur(random.uniform(.6, 2))), np.float32)
        weak = np.exp(-np.abs(a - soft).max(2, keepdims=True) / random.uniform(4, 16))
        out = Image.fromarray((soft * weak + a * (1 - weak)).round().clip(0, 255).astype(np.uint8))
        return ImageEnhance.Sharpness(out).enhance(random.uniform(1.2, 3))

    def label(self, y): return full_like(y, self.learn.dls.vocab.o2i['fake'])

def residual(learn):
    "Let the first layer see what a 3 x 3 blur takes away, and nothing else"
    import torch
    from torch import nn
    class High(nn.Module):
        def __init__(self):
            super().__init__()
            row = torch.tensor([1, 2, 1.]) / 4
            self.register_buffer('kernel', (row[:, None] * row).expand(3, 1, 3, 3).contiguous())

        def forward(self, x):
            with torch.autocast(x.device.type, enabled=False): return 4 * (x - nn.functional.conv2d(nn.functional.pad(x, (1,)*4, mode='replicate'), self.kernel, groups=3))   # half precision would round away what is left
    learn.model[0].conv_stem = nn.Sequential(High(), learn.model[0].conv_stem)

def halfway(learn, recipe, *data):
    "Train the head alone, then everything, and end halfway between the two (Wortsman et al., Robust fine-tuning of zero-shot models, 2022); batch norm counts anew"
    from copy import deepcopy
    from face_fake_or_not.recipes import fit_recipe
    from torch.optim.swa_utils import update_bn
    fit_recipe(learn, replace(recipe, phases=recipe.phases[:1]), *data)
    first = deepcopy(learn.model.state_dict())
    fit_recipe(learn, replace(recipe, phases=recipe.phases[1:]), *data)
    learn.model.load_state_dict({k: v.lerp(first[k], .5) if v.is_floating_point() else v for k, v in learn.model.state_dict().items()})
    update_bn((b[0] for b, _ in zip(learn.dls.train, range(40))), learn.model)

# --- One fold ---

def fair_pairs(args): return pd.read_csv(need(args.data/'pairs.csv', 'The table of fair pairs'))

def read(args):
    "Manifest without the test split, and the fair pairs"
    from face_fake_or_not.items import face_items
    items = face_items(csv=need(args.data/'items.csv', 'The manifest'), check=False)
    return items[items.split != 'test'].reset_index(drop=True), fair_pairs(args)

def divided(items, fold, cap=None, seed=0):
    "What a fold trains and validates on, and what it is judged on: the valid rows of these and at most 200 of each domain that was left out"
    out = np.array([d in fold[l] for l, d in zip(items.label, items.domain)])
    seen = items[~out]
    left = pd.concat([d.sample(min(len(d), 200), random_state=seed) for _, d in items[out].groupby(['label', 'domain'])])
    judged = pd.concat([seen[seen.split == 'valid'].assign(role='seen'), left.assign(role='out')], ignore_index=True)
    if cap: seen = pd.concat([d.sample(min(len(d), cap if split == 'train' else len(d)), random_state=seed) for (_, _, split), d in seen.groupby(['label', 'domain', 'split'])])
    return seen.reset_index(drop=True), judged

def fit(args, name, fold, recipe, hook):
    "Train a candidate on a fold and keep its scores"
    import torch
    torch.set_num_threads(1)
    from face_fake_or_not.core import atomic_path
    from face_fake_or_not.harmonise import fit_law
    from face_fake_or_not.recipes import fit_recipe, recipe_learner
    train = halfway if name == 'wise' else fit_recipe
    start, (items, pairs) = time.time(), read(args)
    recipe, (seen, judged) = replace(recipe, seed=args.seed), divided(items, FOLDS[fold], args.cap)
    if recipe.harmonise: recipe = replace(recipe, spec=replace(recipe.spec, law=fit_law(seen[seen.split == 'train'], spec=recipe.spec)))
    weights = need(args.data.resolve().parent/'weights'/WEIGHTS, 'The backbone')
    with tempfile.TemporaryDirectory() as tmp:
        arch = recipe.arch if recipe.arch and not recipe.name.startswith('seed') else None
        learn = recipe_learner(replace(recipe, arch=arch), seen, pairs, None if arch else weights, not arch, tmp, 0)
        if hook: hook(learn)
        with learn.no_bar(), learn.no_logging(): train(learn, recipe, seen, pairs, 0)
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

def kept(args, name, fold): return args.keep/f'{args.size}px-{args.epochs}e-{args.seed}{f"-cap{args.cap}" if args.cap else ""}'/f'{name}-{fold}.csv'

# --- What a candidate is worth ---

def scores_of(args, name):
    "The folds there are of a candidate, small reals pooled, a photo's group its own path where it has none"
    files = {f: kept(args, name, f) for f in args.folds}
    tables = {f: pd.read_csv(file) for f, file in files.items() if file.is_file()}
    return {f: t.assign(group=t.group.fillna(t.path), fake=t.label == 'fake', domain=t.domain.where(~t.domain.isin(SMALL), 'small')) for f, t in tables.items()}

def draws(tables):
    "How often each photo is drawn in each resample: whole groups, and the same draw in every fold, which share photos"
    from face_fake_or_not.intervals import resample_counts
    photos = pd.concat(tables).drop_duplicates('path')
    return pd.DataFrame(resample_counts(list(photos.group), BOOT).T, index=photos.path)

def thresholds(df):
    "What the known validation photos choose: the cut that promises 5 %, above every score where it cannot, and the one of the best balanced accuracy"
    from face_fake_or_not.generalise import _cut
    from face_fake_or_not.thresholds import best_balanced
    seen = df[(df.condition == 'clean') & (df.role == 'seen')]
    return _cut(seen[~seen.fake], .05), best_balanced(seen.label, seen.score)

def asked(clean, pairs):
    "What is asked of a fold: kind, name, rows that are judged, rows that belong to it"
    from face_fake_or_not.items import pair_items
    seen, left = clean[clean.role == 'seen'], clean[clean.role == 'out']
    yield 'seen', 'all', seen, seen
    for (label, domain), d in left.groupby(['label', 'domain']): yield label, domain, pd.concat([d, seen[seen.label != label]]), d
    for p in pairs.itertuples():
        d = pair_items(clean, p)
        if d.fake.nunique() == 2: yield f'pair {d.role.iloc[0]}', p.fake, d, d

def judge_fold(df, fold, pairs, counts):
    "Rows of AUC, of new domains with the share above the 5 % threshold, each with its interval; the AUC of every resample; the known photos in every tier"
    from face_fake_or_not.intervals import auc_interval, rate, weighted_auc
    (cut, middle), rows, boots = thresholds(df), [], {}
    for kind, name, d, own in asked(df[df.condition == 'clean'], pairs):
        boots[kind, name] = weighted_auc(d.fake.to_numpy(), d.score, counts.loc[d.path].to_numpy().T)
        called = rate((own.score >= cut).to_numpy(), list(own.group)) if kind in ('real', 'fake') else (None,) * 3
        rows.append(dict(fold=fold, kind=kind, domain=name, n=len(own), **dict(zip(('auc', 'lo', 'hi'), auc_interval(d.fake.to_numpy(), d.score, list(d.group), n=200))), **dict(zip(('called', 'called_lo', 'called_hi'), called))))
    return rows, boots, tier_rows(df, middle)

def tier_rows(df, middle):
    "The known photos that have every tier: called fake or not at the threshold of the clean validation photos, and whether that turns"
    d = df[(df.role == 'seen') & df.path.isin(df.path[df.condition == TIERS[0]])]
    d = d.assign(called=d.score >= middle)
    return d.assign(turned=d.called != d[d.condition == 'clean'].set_index('path').called.reindex(d.path).to_numpy())

def span(values): return dict(zip(('lo', 'hi'), np.nanpercentile(values, [2.5, 97.5]))) if len(values) else {}

def spread(rows, boots, kind, how):
    "Mean or minimum of the AUC over the large domains of a kind, with its interval"
    big = [(r['auc'], boots[r['fold'], kind, r['domain']]) for r in rows if r['kind'] == kind and (r['n'] >= ENOUGH or kind.startswith('pair'))]
    return dict(value=how([v for v, _ in big]), **span(how([b for _, b in big], axis=0))) if big else dict(value=np.nan, lo=np.nan, hi=np.nan)

def figures(args, name, pairs):
    "One row of a candidate's table from the folds there are, and the rows behind it"
    from face_fake_or_not.intervals import balanced_rate
    tables, rows, boots, tiers = scores_of(args, name), [], {}, []
    if not tables: return None, None
    counts = draws(tables)
    for f, df in tables.items():
        part, b, t = judge_fold(df, f, pairs, counts)
        rows, boots, tiers = rows + part, boots | {(f, *k): v for k, v in b.items()}, tiers + [t]
    t, out = pd.concat(tiers), dict(name=name, folds=''.join(tables))
    for key, kind, how in (('known', 'seen', np.mean), ('pairs', 'pair seen', np.mean), ('new_fakes', 'fake', np.mean), ('new_fakes_min', 'fake', np.min), ('new_reals', 'real', np.mean), ('new_reals_min', 'real', np.min), ('new_pairs', 'pair out', np.mean)):
        out |= {f'{key}{"" if k == "value" else "_" + k}': v for k, v in spread(rows, boots, kind, how).items()}
    called = lambda kind, how: how([r['called'] for r in rows if r['kind'] == kind and r['n'] >= ENOUGH])
    out |= dict(fpr_new=called('real', np.mean), fpr_new_max=called('real', np.max), caught_new=called('fake', np.mean))
    for tier in ('clean', *TIERS):
        d = t[t.condition == tier]
        out |= dict(zip((tier, f'{tier}_lo', f'{tier}_hi'), balanced_rate((d.called == d.fake).to_numpy(), d.fake.to_numpy(), list(d.group))))
    hard = t[t.condition == TIERS[1]]
    return out | dict(n_tier=hard.path.nunique(), turned=hard.turned.mean()), pd.DataFrame(rows).assign(name=name)

def passes(recipe):
    "How often a recipe's whole network sees the training images; phases of its end alone count a whole time"
    steps = [(s.hardest or 1, s.phases) for s in recipe.stages] or [(1, recipe.phases)]
    return sum(share * p.epochs for share, phases in steps for p in phases if p.train != 'head')

def cost(recipes):
    "Time of the network alone against that of version 0 (160 px and its mirror image), one photo and one thread, in turns"
    import timm, torch
    torch.set_num_threads(1)
    kinds = {n: (r.arch if n == 'scratch' else 'mobilenetv2_100', r.final_spec.size, 1 + r.flip) for n, r in recipes.items()}
    nets = {a: timm.create_model(a).eval() for a, _, _ in {*kinds.values(), ('mobilenetv2_100', 160, 2)}}
    def took(arch, size, passes):
        x = torch.zeros(passes, 3, size, size)
        start = time.perf_counter()
        with torch.inference_mode(): nets[arch](x)
        return time.perf_counter() - start
    every = [*dict.fromkeys([('mobilenetv2_100', 160, 2), *kinds.values()])]
    times = {k: np.median(v) for k, v in zip(every, zip(*[[took(*k) for k in every] for _ in range(12)]))}
    return {n: times[k] / times['mobilenetv2_100', 160, 2] for n, k in kinds.items()}

def table(args, recipes):
    "The table of what has been trained"
    pairs = fair_pairs(args)
    found = [figures(args, n, pairs) for n in recipes]
    rows, parts = [r for r, _ in found if r], [t for r, t in found if r]
    if not rows: sys.exit(f'no scores in {kept(args, "", "").parent}: `run` first')
    df, detail = pd.DataFrame(rows), pd.concat(parts, ignore_index=True)
    df['passes'], df['cost'] = df.name.map(lambda n: passes(recipes[n])), df.name.map(cost({n: recipes[n] for n in df.name}))
    whole = {k: [f'{v:.2f} ({lo:.2f}-{hi:.2f})' for v, lo, hi in zip(df[k], df[f'{k}_lo'], df[f'{k}_hi'])] for k in df.columns if f'{k}_lo' in df}
    shown = df[[c for c in df.columns if not c.endswith(('_lo', '_hi'))]].assign(**whole)
    print(shown.round(2).T.to_string(header=False)); print()
    for what in ('auc', 'called'): print(what); print(detail[detail.kind.isin(['fake', 'real', 'pair out'])].pivot_table(index='name', columns=['kind', 'domain'], values=what).round(2).reindex(df.name).to_string()); print()
    return df, detail

# --- Several at a time ---

def run(args, names):
    "Train what is missing, each in a process of its own"
    todo = [(n, f) for n in names for f in args.folds if not kept(args, n, f).is_file()]
    env = dict(os.environ, OMP_NUM_THREADS='1', OMP_WAIT_POLICY='PASSIVE')
    def one(job):
        cmd = [sys.executable, __file__, 'fit', *job, '--data', args.data, '--keep', args.keep, '--epochs', args.epochs, '--size', args.size, '--seed', args.seed, *(['--cap', args.cap] if args.cap else [])]
        if failed := subprocess.run([str(c) for c in cmd], env=env, stdout=subprocess.DEVNULL).returncode: say(f'{" ".join(job)} failed, see above')
        return failed
    with ThreadPoolExecutor(args.workers) as pool: return sum(map(bool, pool.map(one, todo)))

def main():
    "The last line is JSON"
    args = parse_args()
    warnings.filterwarnings('ignore')
    known = candidates(args)
    if args.what == 'fit':
        if len(args.names) != 2 or args.names[0] not in known or args.names[1] not in FOLDS: sys.exit('fit takes a candidate and a fold: fit NAME A')
        return fit(args, *args.names, *known[args.names[0]])
    if odd := set(args.names) - set(known): sys.exit(f'no candidate {", ".join(odd)}; there are {", ".join(known)}')
    names = args.names or list(known)
    if args.what == 'names': return print('\n'.join(names))
    failed = run(args, names) if args.what == 'run' else 0
    df, detail = table(args, {n: known[n][0] for n in names})
    result('embedded', epochs=args.epochs, size=args.size, seed=args.seed, cap=args.cap, table=plain(df), domains=plain(detail), failed=failed)
    sys.exit(bool(failed))

if __name__ == '__main__': main()
