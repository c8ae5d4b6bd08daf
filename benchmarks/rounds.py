#!/usr/bin/env python
"""Hard-example rounds: what a detector gains and what it forgets, with seed 003's naive recipe and with `Learner.fit_rounds`.

`python benchmarks/rounds.py --out DIR` trains MobileNetV2 (the shared weights, 128 pixels as they come) on one fair pair alone, `stylegan1` and `ffhq`; this is round 0 and all arms share
it. The pool is every other domain of the manifest. Then the same function runs twice with the same number of hard images and the same epochs:

- *naive*: fine-tune on the hardest images of both classes alone, as seed 003 did: nothing replayed, no average of weights, no gate;
- *ours*: the defaults of `RoundPlan`: as many other images of the pool beside the hard ones, 40 % of the draws for what was known before, a quarter of the old weights in the average, and the gate,
  which judges domains and sources of 40 images or more by themselves and each fair pair as one domain;
- *pooled*, on request: the same with a gate that pools what has fewer than 80 images and knows no pairs; it shows what such a gate lets pass.

Splits: of the manifest's `train` 85 % are trained on or mined and 15 % choose epoch and threshold; its `valid` is what the gate judges on, and fixes the hard set: in each class the domains of the
pool that round 0 is most wrong about, until half of the images are in. Its `test` is seen by no run: all figures of the table are of these images, at the threshold that the ledger holds
(chosen on the 15 %); copies of them in the pool are set aside. Intervals: Wilson for shares, bootstrap by group for balanced accuracy, 95 %.

Sets of the table: `hard` as above; `errors`, the half of each class of the pool's domains that round 0 was most wrong about image by image, which rewards a network that says the opposite of round 0;
`first`, the pair of round 0; `others`, all domains of the pool. The JSON has the same at threshold 0.5 and the decisions.

What it does not say: one backbone at one size, one seed, one order of data. At 128 pixels this network hardly tells `ciplab_photoshop` and `dfdc_swap` from their originals (AUC 0.63 after two rounds), and these are
two thirds of the hard fakes: no recipe can win much there. `cpu_s` is that of this call. A run that was stopped goes on with the same command. `--no-final` leaves the `test` images alone, for choosing settings."""
import argparse, json, os, time, warnings
from pathlib import Path

os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')           # see schedule.py
os.environ.setdefault('MPLBACKEND', 'agg')

import numpy as np, pandas as pd

from common import need, result, say, shared_dir

FIRST, ARMS = ('stylegan1', 'ffhq'), ('naive', 'ours', 'pooled')
WEIGHTS = 'mobilenetv2_100.imagenet_fp16.pth'

def parse_args():
    "The command line"
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--data', type=Path, default=shared_dir()/'data', help='folder with items.csv')
    p.add_argument('--weights', type=Path, help=f'weights file with its JSON (default: {WEIGHTS} of the shared weights)')
    p.add_argument('--out', type=Path, default=Path('rounds-benchmark'), help='run folders; what is there already is used again')
    p.add_argument('--size', type=int, default=128, help='side of the square that the network sees, pixels')
    p.add_argument('--bs', type=int, default=32)
    p.add_argument('--n', type=int, help='at most so many images of each domain, label and split: a trial')
    p.add_argument('--seed', type=int, default=42)
    p.add_argument('--only-first', action='store_true', help='train the detector of round 0 and stop')
    p.add_argument('--arms', nargs='+', default=ARMS[:2], choices=ARMS)
    p.add_argument('--no-final', action='store_true', help='leave the final images alone: for choosing settings')
    p.add_argument('--rounds', type=int, default=2)
    p.add_argument('--plan', default='{}', help='JSON: settings of RoundPlan that differ, for both arms where they apply')
    p.add_argument('--name', default='', help='suffix of the run folders, to keep several plans apart')
    return p.parse_args()

# --- Data: shared train -> train and valid, shared valid -> what the gate judges on, shared test -> the final figures ---

def splits(args):
    "The manifest with the splits of a run, and the images of the final figures, which no run sees"
    from face_fake_or_not.items import face_items, split_items
    items = face_items(csv=need(args.data/'items.csv', 'The manifest'), check=False)
    if args.n: items = pd.concat([d.head(args.n) for _, d in items.groupby(['domain', 'label', 'split'])]).reset_index(drop=True)
    final, gate = items[items.split == 'test'], items[items.split == 'valid'].assign(split='test')
    trained = split_items(items[items.split == 'train'].assign(split=''), valid=.15, test=0, seed=args.seed)
    return pd.concat([trained, gate]).reset_index(drop=True), final.reset_index(drop=True)

def fair_pairs(args): return pd.read_csv(need(args.data/'pairs.csv', 'The list of fair pairs'))

def first_learner(items, args, path):
    "A learner as round 0 has it, untrained"
    from face_fake_or_not.core import seed_everything
    from face_fake_or_not.image import Spec
    from face_fake_or_not.learner import face_learner
    from face_fake_or_not.stages import stage_loaders
    seed_everything(args.seed)
    dls = stage_loaders(items[items.domain.isin(FIRST)], Spec(args.size, 'native'), delivery={}, bs=args.bs, num_workers=0)
    file = args.weights or need(args.data.resolve().parent/'weights'/WEIGHTS, 'The backbone')
    return face_learner(dls, None, weights=file, path=path)

def round_0(items, args):
    "Train on the first pair alone, once; the file of its weights"
    from face_fake_or_not.schedule import Phase
    file = args.out/'first'/'models'/'best.pth'
    if (args.out/'first'/'done').is_file(): return file
    start, learn = time.process_time(), first_learner(items, args, args.out/'first')
    with learn.no_bar(): learn.fit_progressive((Phase('head', 2, 1e-2, 'head'), Phase('all', 12, 2e-3, spread=5)))
    (args.out/'first'/'done').write_text(f'{time.process_time() - start:.1f}')
    return file

# --- Arms ---

def plan_of(arm, args):
    "Seed 003's recipe, or ours: the same function, other settings"
    from dataclasses import replace
    from face_fake_or_not.rounds import NAIVE, RoundPlan
    from face_fake_or_not.schedule import Phase
    given = json.loads(args.plan)
    if 'phases' in given: given['phases'] = tuple(Phase(**p) for p in given['phases'])
    base = dict(naive=NAIVE, ours=RoundPlan(), pooled=RoundPlan(least=80))[arm]
    own = {'easy', 'replay', 'soup', 'margin', 'cap', 'balance', 'sure'}             # what makes the arms different is not changed in the naive one
    return replace(base, **{k: v for k, v in given.items() if arm != 'naive' or k not in own})

def run_arm(arm, items, final, first, args):
    "The rounds of one arm, gone on with where they stand; the learner, the rounds and the seconds of CPU"
    import torch
    start, learn = time.process_time(), first_learner(items, args, args.out/(arm + args.name))
    learn.path.mkdir(parents=True, exist_ok=True)
    learn.model.load_state_dict(torch.load(first, weights_only=True))
    plan, of_first = plan_of(arm, args), items.domain.isin(FIRST)
    with learn.no_bar():
        rounds = learn.fit_rounds(items[~of_first], items[of_first], args.rounds, plan, apart=final, pairs=fair_pairs(args) if arm == 'ours' else None, resume=True, delivery={}, bs=args.bs, num_workers=0)
    return learn, rounds, time.process_time() - start

def final_scores(learn, rounds, r, final):
    "Scores of the final images by the weights that held after a round"
    import torch
    held = max(i for i in [0, *rounds.accepted] if i <= r)
    file = rounds.folder(held)/'final.csv'
    if not file.is_file():
        learn.model.load_state_dict(torch.load(rounds.folder(held)/'model.pth', weights_only=True))
        final.assign(score=learn.scores(final)).to_csv(file, index=False)
    return pd.read_csv(file).fillna(dict(group='')), rounds.state['rounds'][held]['threshold']

# --- Figures ---

def in_hard_set(rounds, final):
    "Images of the domains of the fixed hard set, which was fixed on the gate's images"
    t = pd.read_csv(rounds.path/'rounds'/'items.csv')
    return pd.MultiIndex.from_frame(final[['label', 'domain']]).isin(pd.MultiIndex.from_frame(t[t.hard][['label', 'domain']]))

def errors(scored):
    "Of all but the first pair, the half of each class that round 0 was most wrong about, image by image"
    rest = scored[~scored.domain.isin(FIRST)]
    wrong = pd.Series(np.where(rest.label == 'fake', 1 - rest.score, rest.score), rest.index).groupby(rest.label)
    return scored.index.isin(rest.index[wrong.rank(ascending=False, method='first') <= np.ceil(wrong.transform('size') / 2)])

def figures(scored, threshold, mask):
    "Real, fake and balanced accuracy with intervals and n"
    from face_fake_or_not.intervals import interval, rate, resample_counts
    from face_fake_or_not.rounds import unit_figures
    d = scored[mask]
    right, out = ((d.score > threshold) == (d.label == 'fake')).to_numpy(), {}
    for l in ('real', 'fake'): out[l] = [round(float(v), 4) for v in rate(right[d.label == l], list(d.group[d.label == l]))] + [int((d.label == l).sum())]
    out['balanced'] = [round(float(v), 4) for v in (unit_figures(right, d.label)[0], *interval(unit_figures(right, d.label, resample_counts(d.group))))] + [len(d)]
    return out

def arm_rows(arm, learn, rounds, final):
    "A row a round and set"
    zero = final_scores(learn, rounds, 0, final)[0]
    sets = dict(hard=in_hard_set(rounds, final), errors=errors(zero), first=zero.domain.isin(FIRST).to_numpy(), others=~zero.domain.isin(FIRST).to_numpy())
    for e in rounds.state['rounds']:
        scored, threshold = final_scores(learn, rounds, e['round'], final)
        for name, mask in sets.items():
            for at, t in (('chosen', threshold), ('half', .5)): yield dict(arm=arm, round=e['round'], decision=e['decision'], set=name, at=at, threshold=round(t, 4), **figures(scored, t, mask))

def differences(rounds, final):
    "Balanced accuracy of each arm less that of the naive one after its last round, and less that of round 0, paired"
    from face_fake_or_not.intervals import interval, resample_counts
    from face_fake_or_not.rounds import unit_figures
    def right(r, i):
        scored, t = final_scores(None, r, i, final)
        return ((scored.score > t) == (scored.label == 'fake')).to_numpy(float)
    last = {arm: right(r, len(r.state['rounds']) - 1) for arm, r in rounds.items()}
    some = next(iter(rounds.values()))
    last['round 0'], first = right(some, 0), final.domain.isin(FIRST).to_numpy()
    sets, out = dict(hard=in_hard_set(some, final), first=first, first_real=first & (final.label == 'real'), first_fake=first & (final.label == 'fake'), others=~first), []
    for name, m in sets.items():
        counts = resample_counts(final.group[m].fillna(''))
        for a, b in [(arm, o) for arm in rounds for o in ('naive', 'round 0') if o in last and o != arm]:
            d = last[a][m] - last[b][m]
            lo, hi = interval(unit_figures(d, final.label[m], counts))
            out.append(dict(set=name, arm=a, less=b, difference=round(float(unit_figures(d, final.label[m])[0]), 4), lo=round(lo, 4), hi=round(hi, 4)))
    return out

def show(rows):
    "The table, in percent"
    for r in rows:
        if r['at'] == 'chosen': print(f"{r['arm']:6} round {r['round']} {r['decision']:9} {r['set']:7}" + ''.join(f"  {k} {r[k][0]:6.1%} ({r[k][1]:.1%} to {r[k][2]:.1%}, n {r[k][3]})" for k in ('real', 'fake', 'balanced')))

def main():
    "Round 0 once, then each arm; the last line is JSON"
    args = parse_args()
    warnings.filterwarnings('ignore')
    items, final = splits(args)
    say(items.groupby(['split', 'label']).size().to_dict(), len(final))
    first = round_0(items, args)
    if args.only_first: return
    rows, cpu, runs = [], {}, {}
    for arm in args.arms:
        learn, runs[arm], cpu[arm] = run_arm(arm, items, final, first, args)
        say(runs[arm].table.T.to_string())
        if not args.no_final: rows += list(arm_rows(arm, learn, runs[arm], final))
    show(rows)
    diffs = [] if args.no_final else differences(runs, final)
    for d in diffs: print('{set:10} {arm} less {less}: {difference:+.1%} ({lo:+.1%} to {hi:+.1%})'.format(**d))
    result('rounds', size=args.size, rounds=args.rounds, rows=rows, differences=diffs, cpu_s={k: round(v, 1) for k, v in cpu.items()})

if __name__ == '__main__': main()
