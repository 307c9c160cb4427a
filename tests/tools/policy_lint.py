"""Lints IAM policies with `parliament`."""

from parliament import analyze_policy_string, enhance_finding

from lines import serve


def answer(request):
    findings = [enhance_finding(finding) for finding in analyze_policy_string(request["policy"]).findings]
    return {"findings": [f"{f.severity} {f.issue}: {f.title} {f.detail} {f.location}" for f in findings]}


serve(answer)
