#!/usr/bin/env python
"""The embedded detector in 16 and in 8 bits against itself in 32: accuracy on the test split, verdicts that change, time an image, MB.

    python benchmarks/lowbit.py            # all 1,639 test photos; a few minutes on two cores
    python benchmarks/lowbit.py --n 60     # a trial

int8 is calibrated on photos of the training split and was developed on those of the validation split; the figures are of the test split, on which nothing was chosen. Times are those of the network alone on
pixels that are ready, the networks in turn on each image, as ratios to fp32. `plain int8` is ONNX Runtime's static quantisation without the correction of biases."""
import argparse, statistics, tempfile, time
from pathlib import Path

import numpy as np
import pandas as pd

from common import need, peak_mib, result, say, shared_dir
from face_fake_or_not.core import onnx_session, read_bundle
from face_fake_or_not.image import Spec
from face_fake_or_not.intervals import auc_interval, balanced_rate
from face_fake_or_not.lowbit import _batches, add_precision, int8_model, model_scores, precision_report
from face_fake_or_not.runtime import EMBEDDED, Detector
from face_fake_or_not.verdict import Rule

def timed(files, pixels, repeats, threads, bs):
    "Median milliseconds an image of each network, in turn"
    sessions = {k: onnx_session(f, 'a benchmark', intra_op_num_threads=threads) for k, f in files.items()}
    seconds = {k: [] for k in sessions}
    for i in range(repeats + 2):
        batch = pixels[np.arange(i * bs, (i + 1) * bs) % len(pixels)]
        for k, s in sessions.items():
            start = time.perf_counter()
            s.run(None, dict(pixels=batch))
            if i > 1: seconds[k].append((time.perf_counter() - start) / bs * 1e3)      # the first two are for warming up
    return {k: statistics.median(v) for k, v in seconds.items()}

def prepared(items, spec):
    "The pixels of photos, and which of them could be read"
    parts, good = zip(*_batches(list(items.path), spec))
    return np.concatenate([p for p in parts if len(p)]), np.concatenate(good)

def accuracy(score, df, rule):
    "AUC and balanced accuracy of one network with intervals"
    fake = (df.label == 'fake').to_numpy()
    pick = lambda v: [round(float(x), 4) for x in v[:3]]
    return dict(auc=pick(auc_interval(fake, score, df.group)), balanced=pick(balanced_rate((score > rule.balanced) == fake, fake, df.group)))

def rounded(o): return {k: rounded(v) if isinstance(v, dict) else round(v, 5) if isinstance(v, float) else v for k, v in o.items()}

def main():
    "Make the networks, score the test split with each, time them; the last line is JSON"
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--n', type=int, help='photos of the test split; all without it')
    p.add_argument('--repeats', type=int, default=100, help='images a network is timed on')
    args = p.parse_args()
    data = shared_dir()/'data'
    items = pd.read_csv(need(data/'items.csv', 'items.csv'), keep_default_na=False)
    items['path'] = [str(data/f) for f in items.path]
    info = read_bundle(EMBEDDED, 'model.onnx')
    spec, rule, fake = Spec.from_dict(info['spec']), Rule.from_dict(info['rule']), info['vocab'].index('fake')
    valid = items[items.split == 'valid']
    small = pd.concat([items[items.split == 'train'], valid if args.n is None else valid.sample(min(args.n, len(valid)), random_state=0)])
    test = items[items.split == 'test']
    test = test if args.n is None else test.sample(args.n, random_state=0)
    with tempfile.TemporaryDirectory() as tmp:
        bundle = Path(tmp)/'bundle'
        for precision in ('fp16', 'int8'):
            start = time.perf_counter()
            add_precision(EMBEDDED if precision == 'fp16' else bundle, precision, small, bundle, force=True)
            say(f'{precision} made and measured on {len(small[small.split == "valid"])} validation photos in {time.perf_counter() - start:.0f} s')
        train = items[items.split == 'train'].sample(64, random_state=0)
        plain = int8_model(EMBEDDED/'model.onnx', prepared(train, spec)[0], correct=False)
        (bundle/'plain.onnx').write_bytes(plain.SerializeToString())
        files = dict(fp32=bundle/'model.onnx', fp16=bundle/'model.fp16.onnx', int8=bundle/'model.int8.onnx', plain_int8=bundle/'plain.onnx')
        pixels, good = prepared(test, spec)
        test = test[good]
        scores = {k: model_scores(f, pixels, fake) for k, f in files.items()}
        say(f'{len(pixels)} test photos scored with each')
        check = list(test.path[:16])
        loaded = {k: float(np.abs(Detector(bundle, precision=k).scores(check) - scores[k][:16]).max()) for k in ('fp16', 'int8')}
        one, many = timed(files, pixels, args.repeats, 1, 1), timed(files, pixels, max(3, args.repeats // 16), 1, 32)
        figures = {k: dict(**accuracy(v, test, rule), mb=files[k].stat().st_size / 1e6, ratio_one=one[k] / one['fp32'], ratio_32=many[k] / many['fp32']) for k, v in scores.items()}
        reports = {k: precision_report(scores['fp32'], scores[k], rule, test.label.to_numpy(), test.group.to_numpy()) for k in files if k != 'fp32'}
    for k, f in figures.items():
        r = reports.get(k)
        print(f"{k:10} {f['mb']:5.1f} MB  time x{f['ratio_one']:.2f} (one) x{f['ratio_32']:.2f} (32)  AUC {f['auc'][0]:.4f} ({f['auc'][1]:.4f} to {f['auc'][2]:.4f})  balanced {f['balanced'][0]:.4f} ({f['balanced'][1]:.4f} to {f['balanced'][2]:.4f})"
              + ('' if r is None else f"  AUC - fp32 {r['auc']['difference']:+.4f} ({r['auc']['lo']:+.4f} to {r['auc']['hi']:+.4f})  balanced {r['balanced']['difference']:+.4f} ({r['balanced']['lo']:+.4f} to {r['balanced']['hi']:+.4f})  verdicts changed {r['verdict_changes']['share']:.2%} ({r['verdict_changes']['lo']:.2%} to {r['verdict_changes']['hi']:.2%})  mean |d| {r['mean_abs_diff']:.4f}  largest {r['max_abs_diff']:.3f}"))
    result('lowbit', n=len(pixels), calibrated_on=64, fp32_ms_one=round(one['fp32'], 2), networks=rounded(figures), against_fp32=rounded(reports), detector_differs=rounded(loaded), peak_mib=round(peak_mib()))

if __name__ == '__main__': main()
