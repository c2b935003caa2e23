"""The manifests: names that lead somewhere, probes, limits, rights."""

import re
from pathlib import Path
from typing import Any

from rag.service.boundary import body_limit
from rag.settings import load_settings

ROOT = Path(__file__).resolve().parents[2]
KINDS = {
    "ConfigMap": "v1",
    "PersistentVolumeClaim": "v1",
    "Service": "v1",
    "Deployment": "apps/v1",
    "StatefulSet": "apps/v1",
    "Job": "batch/v1",
    "CronJob": "batch/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
    "PodDisruptionBudget": "policy/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
}


def of(kubernetes: Any, folder: str, *kinds: str) -> list[Any]:
    found = [m for m in kubernetes[folder] if m["kind"] in kinds]
    assert found, (folder, kinds)
    return found


def containers_of(spec: Any) -> list[Any]:
    return [*spec.get("initContainers", []), *spec["containers"]]


def test_kinds_versions_and_names(kubernetes: Any) -> None:
    assert set(kubernetes) == {"embedded", "cluster"}
    for folder, manifests in kubernetes.items():
        names = [(m["kind"], m["metadata"]["name"]) for m in manifests]
        assert len(set(names)) == len(names), folder
        for manifest in manifests:
            assert manifest["apiVersion"] == KINDS[manifest["kind"]]
            assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", manifest["metadata"]["name"])
            assert "namespace" not in manifest["metadata"]


def test_every_file_of_a_folder_is_listed(kubernetes: Any) -> None:
    import yaml

    for folder in kubernetes:
        place = ROOT / "docker" / "k8s" / folder
        listed = yaml.safe_load((place / "kustomization.yaml").read_text())["resources"]
        assert {p.name for p in place.iterdir()} == {*listed, "kustomization.yaml"}


def test_pods_have_no_rights(pods: Any) -> None:
    assert len(pods) == 8
    for name, spec in pods:
        rights = spec["securityContext"]
        assert rights["runAsNonRoot"] is True, name
        assert rights["runAsUser"] >= 1000
        assert rights["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
        for container in containers_of(spec):
            confined = container["securityContext"]
            assert confined["readOnlyRootFilesystem"] is True, name
            assert confined["allowPrivilegeEscalation"] is False
            assert confined["capabilities"] == {"drop": ["ALL"]}


def test_the_user_is_that_of_the_image(pods: Any, instructions: Any) -> None:
    (user,) = [i.text.split(":")[0] for i in instructions if i.name == "USER"]
    for name, spec in pods:
        if spec["containers"][0]["image"].startswith("frugal-rag:"):
            assert str(spec["securityContext"]["runAsUser"]) == user, name
            assert str(spec["securityContext"]["fsGroup"]) == user, name


def test_no_variables_of_other_services(pods: Any) -> None:
    # A Service named rag would set RAG_PORT=tcp://..., which the settings rightly refuse.
    for name, spec in pods:
        assert spec["enableServiceLinks"] is False, name


def test_every_container_has_requests_and_limits(pods: Any) -> None:
    for name, spec in pods:
        for container in containers_of(spec):
            given = container["resources"]
            for kind in ("cpu", "memory", "ephemeral-storage"):
                asked, most = (_amount(given[each][kind]) for each in ("requests", "limits"))
                assert 0 < asked <= most, (name, kind)


def _amount(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(m|Mi|Gi|)", str(text)).groups()  # type: ignore[union-attr]
    return float(number) * {"m": 1e-3, "Mi": 2.0**20, "Gi": 2.0**30, "": 1.0}[unit]


def test_parsing_fits_into_the_memory_of_ingest(pods: Any) -> None:
    settings = load_settings()
    seen = 0
    for _, spec in pods:
        for container in spec["containers"]:
            given = {each["name"]: each["value"] for each in container.get("env", [])}
            if "RAG_PARSE_MEMORY_MB" in given:
                workers = int(given.get("RAG_INGEST_WORKERS", settings.ingest_workers))
                parsing = workers * int(given["RAG_PARSE_MEMORY_MB"]) * 2**20
                assert parsing < 0.5 * _amount(container["resources"]["limits"]["memory"])
                seen += 1
    assert seen == 6


def test_volumes_are_mounted_and_their_claims_are_there(kubernetes: Any) -> None:
    for folder in kubernetes:
        claims = {m["metadata"]["name"] for m in of(kubernetes, folder, "PersistentVolumeClaim")}
        used = set()
        for manifest in of(kubernetes, folder, "Deployment", "StatefulSet", "Job", "CronJob"):
            outer = manifest["spec"].get("jobTemplate", {}).get("spec", manifest["spec"])
            spec = outer["template"]["spec"]
            own = {t["metadata"]["name"] for t in outer.get("volumeClaimTemplates", [])}
            named = {v["name"] for v in spec["volumes"]} | own
            mounted = {m["name"] for c in containers_of(spec) for m in c["volumeMounts"]}
            assert mounted == named, manifest["metadata"]["name"]
            asked = [v.get("persistentVolumeClaim") for v in spec["volumes"]]
            used |= {claim["claimName"] for claim in asked if claim}
        assert used == claims, folder


def test_configuration_is_there_and_secrets_may_be_missing(kubernetes: Any, pods: Any) -> None:
    for name, spec in pods:
        maps = {m["metadata"]["name"] for m in of(kubernetes, name.split(":")[0], "ConfigMap")}
        for container in spec["containers"]:
            for source in container.get("envFrom", []):
                if "configMapRef" in source:
                    assert source["configMapRef"]["name"] in maps
                else:
                    assert source["secretRef"]["optional"] is True
    assert not [m for folder in kubernetes.values() for m in folder if m["kind"] == "Secret"]


def test_the_keys_are_mounted_so_that_the_service_takes_them(kubernetes: Any, pods: Any) -> None:
    serving = [s for _, s in pods if s["containers"][0].get("command") == ["rag", "serve"]]
    assert len(serving) == 2
    for spec in serving:
        (container,) = spec["containers"]
        given = {each["name"]: each["value"] for each in container["env"]}
        (volume,) = [v for v in spec["volumes"] if v["name"] == "keys"]
        (mount,) = [m for m in container["volumeMounts"] if m["name"] == "keys"]
        assert given["RAG_KEYS_FILE"] == f"{mount['mountPath']}/keys.json"
        assert mount["readOnly"] is True
        # Of root, read by the group: the service refuses a file that others can write.
        assert volume["secret"]["defaultMode"] & 0o777 == 0o440
        for folder in kubernetes:
            made = (ROOT / "docker" / "k8s" / folder / "kustomization.yaml").read_text()
            assert f"generic {volume['secret']['secretName']} --from-file=keys.json" in made


def test_selectors_find_their_pods(kubernetes: Any) -> None:
    for folder in kubernetes:
        labels = []
        for manifest in of(kubernetes, folder, "Deployment", "StatefulSet"):
            given = manifest["spec"]["template"]["metadata"]["labels"]
            assert manifest["spec"]["selector"]["matchLabels"].items() <= given.items()
            labels.append(given)
        for manifest in kubernetes[folder]:
            if manifest["kind"] == "Service":
                wanted = manifest["spec"]["selector"]
                assert any(wanted.items() <= given.items() for given in labels)
            if manifest["kind"] == "PodDisruptionBudget":
                wanted = manifest["spec"]["selector"]["matchLabels"]
                assert any(wanted.items() <= given.items() for given in labels)


def test_ports_have_names_that_lead_to_the_programs(kubernetes: Any, image_settings: Any) -> None:
    for folder in kubernetes:
        for manifest in of(kubernetes, folder, "Deployment", "StatefulSet"):
            (container,) = manifest["spec"]["template"]["spec"]["containers"]
            ports = {p["name"]: p["containerPort"] for p in container["ports"]}
            if container["image"].startswith("frugal-rag:"):
                assert ports == {"http": int(image_settings["RAG_PORT"])}
            else:
                assert ports == {"http": 6333, "p2p": 6335}
            scraped = manifest["spec"]["template"]["metadata"]["annotations"]
            assert scraped["prometheus.io/port"] == str(ports["http"])
            for service in of(kubernetes, folder, "Service"):
                chosen = service["spec"]["selector"].items()
                if chosen <= manifest["spec"]["template"]["metadata"]["labels"].items():
                    assert {p["targetPort"] for p in service["spec"]["ports"]} <= set(ports)


def test_probes_ask_what_the_service_answers(pods: Any, service: Any) -> None:
    asked = set()
    for _, spec in pods:
        for container in spec["containers"]:
            ours = container["image"].startswith("frugal-rag:")
            for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
                if ours and kind in container:
                    asked.add((kind, container[kind]["httpGet"]["path"]))
                    assert container[kind]["httpGet"]["port"] == "http"
    assert asked == {
        ("startupProbe", "/healthz"),
        ("livenessProbe", "/healthz"),
        ("readinessProbe", "/readyz"),
    }
    assert {service.get(path)[0] for _, path in asked} == {200}


def test_stopping_leaves_time_to_drain(pods: Any, drain_seconds: float) -> None:
    serving = [s for _, s in pods if s["containers"][0].get("command") == ["rag", "serve"]]
    assert len(serving) == 2
    for spec in serving:
        (container,) = spec["containers"]
        program, seconds = container["lifecycle"]["preStop"]["exec"]["command"]
        assert program == "sleep"
        # Not ready any more, and known to be: only then is it told to stop.
        assert int(seconds) > container["readinessProbe"]["periodSeconds"]
        assert spec["terminationGracePeriodSeconds"] > int(seconds) + drain_seconds


def test_jobs_are_worked_off_where_the_service_scales_to_zero(kubernetes: Any) -> None:
    (cron,) = [
        m
        for m in of(kubernetes, "embedded", "CronJob")
        if m["metadata"]["name"] == "frugal-rag-jobs"
    ]
    assert cron["spec"]["suspend"] is True  # a running service does them itself
    assert cron["spec"]["concurrencyPolicy"] == "Forbid"
    spec = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert container["command"] == ["rag", "jobs", "run"]
    (service,) = of(kubernetes, "embedded", "Deployment")
    serving = service["spec"]["template"]["spec"]
    # The same disk, keys and settings, so that it goes on where a service stopped.
    for name in ("data", "keys"):
        (its,) = [v for v in spec["volumes"] if v["name"] == name]
        assert its in serving["volumes"]
    assert container["env"] == serving["containers"][0]["env"]
    assert container["envFrom"] == serving["containers"][0]["envFrom"]


def test_the_cluster_has_keys_and_authority_apart(kubernetes: Any) -> None:
    (config,) = of(kubernetes, "cluster", "ConfigMap")
    assert config["data"]["RAG_SERVER_WRITE_CONSISTENCY"] == config["data"]["RAG_SERVER_REPLICAS"]
    text = (ROOT / "docker" / "k8s" / "cluster" / "config.yaml").read_text()
    told = re.search(r"# RAG_SERVER_CA_FILE: (\S+)/ca\.pem", text)
    assert told
    secrets: dict[str, set[str]] = {"service": set(), "ingest": set()}
    for manifest in of(kubernetes, "cluster", "StatefulSet", "Job", "CronJob"):
        outer = manifest["spec"].get("jobTemplate", {}).get("spec", manifest["spec"])
        spec = outer["template"]["spec"]
        (container,) = spec["containers"]
        if container["image"].startswith("frugal-rag:"):
            mounts = {m["name"]: m["mountPath"] for m in container["volumeMounts"]}
            assert mounts["ca"] == told[1]
            role = outer["template"]["metadata"]["labels"]["app.kubernetes.io/component"]
            given = [each["secretRef"]["name"] for each in container["envFrom"][1:]]
            secrets[role] |= set(given)
    assert secrets == {"service": {"frugal-rag-reading"}, "ingest": {"frugal-rag-writing"}}


def test_audit_logs_are_on_the_disk(kubernetes: Any, pods: Any) -> None:
    for folder in kubernetes:
        (config,) = of(kubernetes, folder, "ConfigMap")
        path = Path(config["data"]["RAG_AUDIT_LOG"])
        for name, spec in pods:
            (container,) = spec["containers"]
            if name.startswith(f"{folder}:") and container.get("command") == ["rag", "serve"]:
                mounts = {m["mountPath"]: m["name"] for m in container["volumeMounts"]}
                memory = {v["name"] for v in spec["volumes"] if "emptyDir" in v}
                assert mounts[str(path.parent)] not in memory, name


def test_the_disk_of_one_node_is_used_on_that_node(kubernetes: Any) -> None:
    (service,) = of(kubernetes, "embedded", "Deployment")
    assert service["spec"]["replicas"] == 1
    assert service["spec"]["strategy"] == {"type": "Recreate"}
    wanted = service["spec"]["template"]["metadata"]["labels"]
    for job in of(kubernetes, "embedded", "Job", "CronJob"):
        spec = job["spec"].get("jobTemplate", {}).get("spec", job["spec"])["template"]["spec"]
        near = spec["affinity"]["podAffinity"]
        if job["spec"].get("suspend"):  # for when there may be no service
            (term,) = [
                each["podAffinityTerm"]
                for each in near["preferredDuringSchedulingIgnoredDuringExecution"]
            ]
        else:
            (term,) = near["requiredDuringSchedulingIgnoredDuringExecution"]
        assert term["topologyKey"] == "kubernetes.io/hostname"
        assert term["labelSelector"]["matchLabels"] == wanted


def test_qdrant_is_where_the_services_look_for_it(kubernetes: Any) -> None:
    (config,) = of(kubernetes, "cluster", "ConfigMap")
    host, port = re.fullmatch(r"http://([\w-]+):(\d+)", config["data"]["RAG_SERVER_URL"]).groups()  # type: ignore[union-attr]
    services = {m["metadata"]["name"]: m["spec"] for m in of(kubernetes, "cluster", "Service")}
    assert int(port) in {p["port"] for p in services[host]["ports"]}
    (nodes,) = [m for m in of(kubernetes, "cluster", "StatefulSet") if "qdrant" in str(m["spec"])][
        :1
    ]
    assert int(config["data"]["RAG_SERVER_REPLICAS"]) < nodes["spec"]["replicas"]
    script = nodes["spec"]["template"]["spec"]["containers"][0]["command"][-1]
    headless = nodes["spec"]["serviceName"]
    assert services[headless]["clusterIP"] == "None"
    assert f"qdrant-0.{headless}:6335" in script


def test_policies_let_in_only_who_is_named(kubernetes: Any) -> None:
    for folder in kubernetes:
        for policy in of(kubernetes, folder, "NetworkPolicy"):
            assert policy["spec"]["policyTypes"] == ["Ingress"]
            for rule in policy["spec"].get("ingress", []):
                assert all("podSelector" in source for source in rule["from"])
                assert rule["ports"]


def test_the_proxy_lets_through_what_the_service_takes() -> None:
    text = (ROOT / "docker" / "proxy" / "default.conf").read_text()
    most = re.search(r"client_max_body_size (\d+)m;", text)
    assert most
    largest = body_limit(load_settings().max_question_chars, conversation=True)
    assert int(most[1]) * 2**20 >= largest
