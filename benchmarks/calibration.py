#!/usr/bin/env python
"""Do a detector's promises hold on photos it has not seen, where do they break, and what does a gate buy?

`python benchmarks/calibration.py` chooses everything on the validation split and judges on the test split of real faces (items.csv), nothing is tuned on test:
promise: thresholds of the embedded detector for 1 % and 5 % by each rule; how many of the held-out reals get the verdict `fake`, in all and per source with 80 or more, beside the binomial 95 % interval of what was asked
(asked_lo to asked_hi) and the wider one that knows that the calibration photos were a draw too (drawn_lo to drawn_hi);
source: a source of reals that neither the network nor the threshold has seen (leave-one-out, logistic regression on frozen features): false positives at 1 % and 5 %, and what `own_rule` with `--own` of its photos makes of them on its
other photos, over `--draws` draws;
gate: `fit_gate` on the relative hard tier (half the size, JPEG 40) of the validation photos, decided cases on that of the test photos at 80 % coverage: no gate, gate, score alone, both, with paired 95 % bootstrap intervals of the differences;
cost: what the facts add to the preprocessing, in one process on the same files.
Features and tier scores are kept in `--keep`; another detector or `--n` needs another folder."""
import argparse, io, tempfile, time
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import betabinom, binom, binomtest

from common import need, peak_mib, result, say, shared_dir
from face_fake_or_not.core import FAKE, REAL, ItemsError, write_csv
from face_fake_or_not.detector import load_detector
from face_fake_or_not.decode import open_image, to_rgb
from face_fake_or_not.image import look, prepare
from face_fake_or_not.intervals import interval, resample_counts
from face_fake_or_not.items import face_items
from face_fake_or_not.robustness import robustness, sample_items
from face_fake_or_not.thresholds import conformal_rule, decided_cases, decides, fit_gate, mondrian_cut, own_rule, passes, rule_by, unlike, unseen_sources

WEIGHTS = 'mobilenetv2_100.imagenet_fp16.pth'
HARD = 'hard-relative'
ASKED = (.01, .05)

def parse_args():
    "The command line"
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--data', type=Path, default=shared_dir()/'data', help='folder with items.csv')
    p.add_argument('--detector', help='a bundle; the embedded detector by default')
    p.add_argument('--weights', type=Path, help=f'weights file with its JSON (default: {WEIGHTS} of the shared weights)')
    p.add_argument('--keep', type=Path, default=Path(tempfile.gettempdir())/'calibration', help='folder for features and scores')
    p.add_argument('--features', type=Path, help='an .npz of frozen features to use and to add to (default: in --keep)')
    p.add_argument('--n', type=int, help='only so many images, for a trial')
    p.add_argument('--size', type=int, default=128, help='side of the window the frozen network sees, pixels')
    p.add_argument('--own', type=int, default=100, help="photos of one's own")
    p.add_argument('--draws', type=int, default=50)
    p.add_argument('--seed', type=int, default=0)
    args = p.parse_args()
    args.weights = need(args.weights or args.data.resolve().parent/'weights'/WEIGHTS, 'The backbone')
    return args

def plain(o):
    "Figures as Python's own numbers"
    if isinstance(o, dict): return {k: plain(v) for k, v in o.items()}
    if isinstance(o, list): return [plain(v) for v in o]
    return o.item() if isinstance(o, np.generic) else o

def tried(f, *args):
    "What `f` gives, or None where there are too few photos for it, as in a trial"
    try: return f(*args)
    except ItemsError as e: say(f'left out: {e}')

def share(k, n):
    "A share with its exact binomial 95 % interval"
    lo, hi = binomtest(int(k), int(n)).proportion_ci(method='exact') if n else (np.nan, np.nan)
    return dict(n=int(n), share=round(float(k / n), 4) if n else None, lo=round(lo, 4), hi=round(hi, 4))

def shown(rows, title):
    "Print rows as a table and give them back"
    print(f'\n{title}\n{pd.DataFrame(rows).to_string(index=False)}')
    return rows

def tier_scores(detector, items, file):
    "Scores and facts of validation and test photos, clean and in the relative tiers"
    if not file.exists():
        say(f'scoring {len(items)} photos in three conditions')
        write_csv(file, robustness(detector, items, ['clean', 'web-relative', HARD], n_boot=2).scores)
    table = pd.read_csv(file, keep_default_na=True)
    return table.assign(group=table.group.fillna(''))[table.score.notna()]

# --- The promise ---

def accused(table, rule): return ((table.score >= rule.fake_above) & (table.score > rule.real_below) & passes(table, rule.gate)).to_numpy()

def promise(scores, rule):
    "Verdicts `fake` on held-out reals, by rule and asked rate"
    clean = scores[scores.condition == 'clean']
    valid, test = (clean[clean.split == s] for s in ('valid', 'test'))
    reals, rows = test[test.label == REAL], []
    for asked in ASKED:
        for name in ('fpr', 'conformal', 'mondrian', 'worst-tier'):
            r = tried(rule_by, name, valid, asked, .1, rule.gate, scores[scores.split == 'valid'])
            if r is None: continue
            said = accused(reals, r)
            k = max(1, int(((n_cal := int((valid.label == REAL).sum())) + 1) * asked))
            both = dict(zip(('drawn_lo', 'drawn_hi'), (np.array(betabinom.interval(.95, len(reals), k, n_cal + 1 - k)) / len(reals)).round(4)))     # the calibration photos were a draw too
            held = dict(zip(('asked_lo', 'asked_hi'), (binom.interval(.95, len(reals), asked) / np.float64(len(reals))).round(4)))
            caught = accused(test[test.label == FAKE], r)
            rows.append(dict(rule=name, asked=asked, calibrated_on=n_cal, fake_above=round(r.fake_above, 4), **share(said.sum(), len(said)), **held, **both,
                             holds=bool(held['asked_lo'] <= said.mean() <= held['asked_hi']), tpr=round(caught.mean(), 4), sources=per_source(reals, said) if name == 'conformal' else None))
    shown([{k: v for k, v in r.items() if k != 'sources'} for r in rows], 'Verdicts fake on held-out reals')
    for r in rows:
        if r['sources']: shown([dict(source=k, **v) for k, v in r['sources'].items()], f'{r["rule"]}, asked {r["asked"]:.0%}, by source')
    return rows

def per_source(reals, said, at_least=80):
    "The share by real source; small ones pooled"
    counts = reals.domain.value_counts()
    name = reals.domain.where(reals.domain.map(counts) >= at_least, 'pooled')
    return {k: share(said[name == k].sum(), (name == k).sum()) for k in sorted(name.unique(), key=lambda k: (k == 'pooled', k))}

# --- A source never seen ---

def left_out(items, args):
    "Scores of every real source by a linear model on frozen features that never saw it"
    from face_fake_or_not.generalise import frozen_features, leave_one_out
    from face_fake_or_not.image import Spec
    say(f'frozen features of {len(items)} images')
    x = frozen_features(items, args.weights, spec=Spec(args.size, 'native'), path=args.features or args.keep/'features.npz')
    say('a logistic regression for each source left out')
    scores = leave_one_out(items, 'linear', features=x, n_boot=2).scores
    return scores[scores.kind == REAL].assign(group=lambda d: d.group.fillna(''))

def new_sources(items, args):
    "What was promised, what came, and what the source's own photos give back"
    rows = []
    for (source, _), part in left_out(items, args).groupby(['fold', 'kind']):
        valid, judged = part[part.use == 'valid'], part[part.use == 'judged']
        reals, fakes = judged[judged.label == REAL], judged.score[judged.label == FAKE].to_numpy()
        for asked in ASKED if len(reals) >= 80 or args.n else ():
            rows.append(one_source(source, asked, valid, reals, fakes, args))
    rows = [r for r in rows if r]
    flat = [{k: v for k, v in r.items() if k != 'own'} | {f'own_{k}': v for k, v in (r['own'] or {}).items()} for r in rows]
    shown(flat, f'A real source never seen: false positives, and after {args.own} of its photos over {args.draws} draws')
    return rows

def one_source(source, asked, valid, reals, fakes, args):
    "One source at one asked rate"
    rule = tried(conformal_rule, valid.label, valid.score, asked, .1, valid.group)
    if rule is None: return None
    each = mondrian_cut(valid.score[valid.label == REAL], valid.domain[valid.label == REAL], asked, valid.group[valid.label == REAL])
    s = reals.score.to_numpy()
    row = dict(source=source, asked=asked, **share((s >= rule.fake_above).sum(), len(s)), times=round((s >= rule.fake_above).mean() / asked, 2), mondrian=round((s >= each).mean(), 4), tpr=round((fakes >= rule.fake_above).mean(), 4), mondrian_tpr=round((fakes >= each).mean(), 4))
    return row | dict(own=tried(own_photos, s, fakes, rule, asked, args) if len(s) >= args.own + 50 and not reals.group.astype(bool).any() else None)

def own_photos(s, fakes, rule, asked, args):
    "False positives on a source's other photos, before and after `--own` of them were given, over many draws"
    rng, rows = np.random.default_rng(args.seed), []
    for _ in range(args.draws):
        order = rng.permutation(len(s))
        mine, others = s[order[:args.own]], s[order[args.own:]]
        new, bold = own_rule(mine, rule, asked), own_rule(mine, rule, asked, lower=True)
        rows.append(dict(before=(others >= rule.fake_above).mean(), after=(others >= new.fake_above).mean(), tpr=(fakes >= new.fake_above).mean(),
                         lower=(others >= bold.fake_above).mean(), lower_tpr=(fakes >= bold.fake_above).mean(), warned=unlike(mine, rule, asked) is not None))
    t = pd.DataFrame(rows).astype(float)
    spread = {f'{k}_{e}': round(v, 4) for k in ('after', 'lower') for e, v in zip(('lo', 'hi'), interval(t[k]))}      # the middle 95 % of the draws
    return {k: round(v, 4) for k, v in t.mean().items()} | spread | dict(others=len(s) - args.own)

# --- The gate ---

def gate(scores, rule, seed):
    "Decided cases of the test photos in the hard tier: every method chosen on the validation photos"
    hard = scores[scores.condition == HARD]
    valid, test = (hard[hard.split == s].reset_index(drop=True) for s in ('valid', 'test'))
    out = {}
    for by in ('balanced', 'accuracy'):
        fitted = fit_gate(valid, rule, .8, by)
        at = fitted.curve[fitted.curve.coverage.isin([.8]) | (fitted.curve.method == 'none')].set_index('method')
        kept = {m: decides(test, rule, at.gate[m], at.band[m]) for m in at.index}
        rows = [dict(method=m, **{k: round(v, 4) for k, v in decided_cases(test, rule, at.gate[m], at.band[m]).items()}, valid=round(at[by][m], 4), valid_decided=round(at.decided[m], 4)) for m in at.index]
        differences = paired(test, rule, kept, seed)
        shown(rows, f'The hard tier of the test photos, {by} made large on validation; {fitted.gate}'); shown(differences, 'Differences, 95 % by bootstrap of the same photos')
        out[by] = dict(gate=fitted.gate.words(), rows=rows, differences=differences)
    return out

def paired(test, rule, kept, seed):
    "Differences of accuracy and balanced accuracy between methods, on the same resamples"
    fake = (test.label == FAKE).to_numpy()
    right, w = (test.score > rule.balanced).to_numpy() == fake, np.vstack([np.ones(len(test), np.float32), resample_counts(list(test.group), 2000, seed)])
    mean = lambda m: (w @ (m & right).astype(np.float32)) / (w @ m.astype(np.float32))
    figures = {k: dict(accuracy=mean(m), balanced=(mean(m & fake) + mean(m & ~fake)) / 2) for k, m in kept.items()}
    rows = []
    for a, b in (('gate', 'none'), ('score', 'none'), ('both', 'none'), ('gate', 'score'), ('both', 'score'), ('both', 'gate')):
        for f in ('accuracy', 'balanced'):
            d = figures[a][f] - figures[b][f]
            rows.append(dict(of=a, over=b, figure=f, points=round(100 * float(d[0]), 2), **dict(zip(('lo', 'hi'), np.round(100 * np.array(interval(d[1:])), 2)))))
    return rows

# --- The cost ---

def cost(items, detector):
    "Time of `look` over that of `prepare` on the same files, in turns; PNG copies of JPEGs are asked for an earlier quality too"
    files = [Path(p).read_bytes() for p in items.path]
    def png(raw, width=None):
        im, out = to_rgb(open_image(raw)), io.BytesIO()
        (im if width is None else im.resize((width, round(im.height * width / im.width)))).save(out, 'PNG')
        return out.getvalue()
    rows = {}
    for name, sources in (('files', files), ('png of the same size', [png(f) for f in files]), ('png, 1080 px wide', [png(f, 1080) for f in files[:20]])):
        took, steps = {}, dict(prepare=lambda raw: prepare(raw, detector.spec), look=lambda raw: look(raw, detector.spec), predict=detector.predict)
        for turn in range(5):                                              # the quickest of five: others work on this machine too
            for i, raw in enumerate(sources):
                for key in list(steps)[::1 if turn % 2 else -1]:
                    start = time.perf_counter(); steps[key](raw)
                    took[key, i] = min(took.get((key, i), 9.), time.perf_counter() - start)
        sums = {k: sum(v for (key, _), v in took.items() if key == k) for k in steps}
        rows[name] = dict(n=len(sources), prepare_ms=round(1000 * sums['prepare'] / len(sources), 2), facts_over_prepare=round(sums['look'] / sums['prepare'] - 1, 3), facts_over_predict=round((sums['look'] - sums['prepare']) / sums['predict'], 3))
    return rows

def main():
    "Run it; the last line is JSON"
    args = parse_args()
    args.keep.mkdir(parents=True, exist_ok=True)
    start, detector = time.perf_counter(), load_detector(args.detector, threads=1)
    items = sample_items(face_items(csv=need(args.data/'items.csv', 'The manifest'), check=False), args.n, args.seed)
    held = items[items.split.isin(('valid', 'test'))].reset_index(drop=True)
    scores = tier_scores(detector, held, args.keep/'tier_scores.csv')
    figures = dict(promise=promise(scores, detector.rule), gate=tried(gate, scores, detector.rule, args.seed))
    clean = scores[scores.condition == 'clean']
    figures['threshold_alone'] = [dict(asked=a, mondrian=m, **{k: round(v, 4) if isinstance(v, float) else v for k, v in r.items()}) for a in ASKED for m in (False, True) for t in [tried(unseen_sources, clean, a, m)] if t is not None for r in t.to_dict('records')]
    shown(figures['threshold_alone'], 'The embedded detector, threshold chosen without one source')
    figures['source'] = new_sources(items, args)
    figures['cost'] = cost(sample_items(held, 200, args.seed), detector)
    shown([dict(of=k, **v) for k, v in figures['cost'].items()], 'The cost of the facts')
    result('calibration', **plain(dict(images=len(items), seconds=round(time.perf_counter() - start, 1), peak_mib=round(peak_mib()), **figures)))

if __name__ == '__main__': main()
