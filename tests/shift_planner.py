"""What a good model would write into the holes of `examples/shift-planner`."""

SUGGEST = '''\
def post_plans_suggest(
    repository: Repository, body: PlansSuggestRequest
) -> PostPlansSuggestResponse:
    """Share the open shifts out, the longest first, each to whoever has the fewest hours."""
    open_shifts = repository.find(Query("shifts", equals={"status": "open"}, limit=-1)).records
    wanted = [one for one in open_shifts if body.from_day <= str(one["day"]) <= body.to_day]
    wanted.sort(key=lambda one: (-int(str(one["hours"])), str(one["shift_id"])))
    hours = dict.fromkeys(sorted(body.workers), 0)
    suggestions: list[dict[str, Any]] = []
    for shift in wanted if hours else []:
        worker = min(hours, key=lambda name: (hours[name], name))
        hours[worker] += int(str(shift["hours"]))
        chosen = {"shift_id": shift["shift_id"], "worker": worker, "hours": shift["hours"]}
        suggestions.append(chosen)
    unassigned = len(wanted) - len(suggestions)
    return PostPlansSuggestResponse.model_validate(
        {"suggestions": suggestions, "unassigned": unassigned}
    )
'''
FAIRNESS = '''\
def post_plans_fairness(
    repository: Repository, body: PlansFairnessRequest
) -> PostPlansFairnessResponse:
    """The spread between the most and the fewest hours, and who has them."""
    hours: dict[str, int] = {}
    for share in body.shares:
        if share.worker is not None:
            hours[share.worker] = hours.get(share.worker, 0) + (share.hours or 0)
    names = sorted(hours)
    busiest = max(names, key=lambda name: hours[name], default="")
    idlest = min(names, key=lambda name: hours[name], default="")
    spread = hours[busiest] - hours[idlest] if names else 0
    return PostPlansFairnessResponse.model_validate(
        {
            "spread_hours": spread,
            "fair": spread <= body.tolerance_hours,
            "busiest": busiest,
            "idlest": idlest,
        }
    )
'''
FUNCTIONS = {"post_plans_suggest": SUGGEST, "post_plans_fairness": FAIRNESS}
