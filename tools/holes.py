"""Says which installed dependencies have a known security hole, by pip-audit and the databases of PyPI and OSV.

A report, not a verdict: a hole found tomorrow must not turn today's commit red. Where neither database can be reached, that is said."""
import json, subprocess, sys

SERVICES = 'pypi', 'osv'

def asked(service):
    "What pip-audit says of every installed package, or why it could not ask"
    command = [sys.executable, '-m', 'pip_audit', '--local', '--skip-editable', '--format', 'json', '--progress-spinner', 'off', '--timeout', '10', '--vulnerability-service', service]
    try:
        r = subprocess.run(command, capture_output=True, text=True, timeout=300)
        return json.loads(r.stdout)['dependencies'], None
    except subprocess.TimeoutExpired: return [], 'no answer within 300 s'
    except (ValueError, KeyError): return [], (r.stderr.strip().splitlines() or ['no answer'])[-1][:120]

def main():
    "Ask until a database answers; one line a hole"
    for service in SERVICES:
        found, why = asked(service)
        known = [d for d in found if 'vulns' in d]
        if known: break
        print(f'!! {service}: not reached ({why or f"none of {len(found)} packages is known there"})')
    else:
        print('!! SKIPPED: no database of known holes can be reached from here; the dependencies were NOT checked')
        return
    holes = [f'{d["name"]} {d["version"]}: {v["id"]}, mended in {", ".join(v["fix_versions"]) or "no release yet"}' for d in known for v in d['vulns']]
    for h in holes: print(f'WARN {h}')
    print(f'{len(known)} dependencies checked with {service}, {len(holes)} known holes, {len(found) - len(known)} packages not known there')

if __name__ == '__main__': main()
