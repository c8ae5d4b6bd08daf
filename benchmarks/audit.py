#!/usr/bin/env python
"""What `audit` says of real data: the shortcut specimen, the three fair pairs alone, and everything; then the specimen again after `harmonise_items`.

Data are read from FFON_SHARED. For each set: verdict, worst fact, AUCs with their 95 % interval and that of shuffled labels, as the files are, after the law, and of the pixels after the law."""
import argparse, tempfile, time
from pathlib import Path

from common import need, result, say, shared_dir
from face_fake_or_not.audit import audit
from face_fake_or_not.harmonise import harmonise_items
from face_fake_or_not.image import Spec
from face_fake_or_not.items import face_items

SETS = {'140k-256': 'stylegan1 ffhq', 'ciplab-160': 'ciplab_photoshop ciplab_real', 'dfdc-224': 'dfdc_swap dfdc_original'}

def rows(table): return {r.feature: [round(float(v), 3) for v in (r.auc, r.lo, r.hi, r.null_lo, r.null_hi)] + [r.level] for r in table.itertuples() if r.auc != .5}

def look(name, items, **kwargs):
    "One audit as plain figures"
    start = time.perf_counter()
    found = audit(items.reset_index(drop=True), Spec(160, 'native', 192), **kwargs)
    say(f'\n== {name}\n{found}')
    return dict(verdict=found.verdict, worst=found.worst, n=found.n, seconds=round(time.perf_counter() - start, 1), law=found.law and found.law.to_dict(),
                container=rows(found.table), after=rows(found.after), envelope=rows(found.envelope), findings=[f'{l}: {t}' for l, t in found.findings])

def main():
    "Audit everything; the last line is JSON"
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--sets', nargs='*', default=['specimen', *SETS, 'all'], help='which of them')
    p.add_argument('--permutations', type=int, default=20)
    args = p.parse_args()
    data, found = need(shared_dir()/'data', 'The folder of real faces'), {}
    everything = face_items(data, check=False)
    for name in args.sets:
        if name == 'specimen':
            items = face_items(data/'shortcut-specimen')
            found[name] = look(name, items, permutations=args.permutations)
            with tempfile.TemporaryDirectory() as tmp:
                copy = harmonise_items(items, Path(tmp)/'even')
                found['specimen harmonised'] = look('specimen harmonised', copy, pixels=False, permutations=args.permutations)
        else: found[name] = look(name, everything[everything.domain.isin(SETS[name].split())] if name in SETS else everything, permutations=args.permutations)
    result('audit', sets=found)

if __name__ == '__main__': main()
