//! The image and what CI does with it.

use super::{assert_tool, read, yaml};
use crate::helpers::dashboards::folder;

#[test]
fn the_dockerfile_passes_its_linter() {
    assert_tool("hadolint", &["Dockerfile"]);
}

/// The Dockerfile's instructions, comments and line breaks taken out.
fn instructions() -> Vec<String> {
    let text = read("Dockerfile");
    let code: Vec<_> = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    code.join("\n").replace("\\\n", "").lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn the_image_has_no_shell_runs_without_root_and_asks_itself_for_its_health() {
    let all = instructions();
    let last = all.iter().rposition(|line| line.starts_with("FROM ")).unwrap();
    assert_eq!(all[last], "FROM scratch", "nothing but what is copied");
    let end = all[last..].join("\n");
    for line in [
        "USER 65532:65532",
        "ENTRYPOINT [\"/usr/bin/o11y-lab\"]",
        "CMD [\"/usr/bin/o11y-lab\", \"healthcheck\"]",
        "org.opencontainers.image.revision",
        "HOST=0.0.0.0",
        "UP_HOST=0.0.0.0",
    ] {
        assert!(end.contains(line), "{line}\n{end}");
    }
    assert!(!end.contains("\nRUN "), "there is nothing to run it with");
}

#[test]
fn the_image_is_built_with_everything_in_from_a_pinned_compiler_and_the_lock_file() {
    let all = instructions();
    let from = all.iter().find_map(|line| line.strip_prefix("FROM rust:")).unwrap();
    let version: Vec<_> = from.split('-').next().unwrap().split('.').collect();
    assert_eq!(version.len(), 3, "{from}");
    let floor = read("Cargo.toml");
    let floor =
        floor.lines().find_map(|line| line.strip_prefix("rust-version = \"")).unwrap().trim_end_matches('"');
    let number = |text: &str| text.split('.').map(|part| part.parse::<u32>().unwrap()).collect::<Vec<_>>();
    assert!(number(&version.join(".")) >= number(floor), "{from} is older than {floor}");
    let builds: Vec<_> = all.iter().filter(|line| line.contains("cargo build")).collect();
    assert_eq!(builds.len(), 2, "dependencies first, so that they stay in the cache");
    assert!(builds.iter().all(|line| line.contains("cargo build --profile image --locked --all-features")));
    assert!(read("Cargo.toml").contains("[profile.image]"));
}

#[test]
fn docker_is_sent_what_the_dockerfile_copies_and_nothing_else() {
    let ignore = read(".dockerignore");
    let mut sent: Vec<_> = ignore.lines().filter_map(|line| line.strip_prefix('!')).collect();
    let all = instructions();
    let copies =
        all.iter().filter_map(|line| line.strip_prefix("COPY ")).filter(|line| !line.starts_with("--from"));
    let mut copied: Vec<_> = copies.flat_map(|line| line.rsplit_once(' ').unwrap().0.split(' ')).collect();
    sent.sort_unstable();
    copied.sort_unstable();
    assert_eq!(sent, copied);
    assert!(copied.iter().all(|file| folder(file).exists()));
    assert_eq!(ignore.lines().find(|line| !line.starts_with('#')), Some("*"));
}

#[test]
fn ci_checks_tests_builds_the_image_for_both_architectures_and_reads_compose() {
    for file in ["ci.yml", "stack.yml", "aws.yml", "backends.yml", "kubernetes.yml"]
        .map(|name| format!(".github/workflows/{name}"))
    {
        let file = file.as_str();
        assert_tool("check-jsonschema", &["--builtin-schema", "vendor.github-workflows", file]);
        let text = read(file);
        for action in text.lines().filter_map(|line| line.split("uses: ").nth(1)) {
            let (_, version) = action.split_once('@').unwrap();
            assert!(version.starts_with('v') && version.len() > 1, "{file}: {action}");
        }
    }
    assert!(read(".github/workflows/ci.yml").contains(".ci/run"));
    assert!(read(".github/workflows/aws.yml").contains("make test-aws"));
    assert!(read(".github/workflows/kubernetes.yml").contains("make test-kubernetes"));
    assert!(read(".github/workflows/backends.yml").contains("make test-backends"));
    assert!(read(".github/workflows/stack.yml").contains("make test-stack ARGS='--images"));
    let stack = yaml(".github/workflows/stack.yml");
    let built = stack["jobs"]["image"]["strategy"]["matrix"]["include"].as_array().unwrap();
    let platforms: Vec<_> = built.iter().map(|one| one["platform"].as_str().unwrap()).collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
    assert!(stack["jobs"]["compose"].to_string().contains("docker compose config --quiet"));
}

#[test]
fn the_document_of_the_stack_names_every_container_and_how_each_file_was_checked() {
    let text = read("docs/stack.md");
    let services = yaml("compose.yaml")["services"].clone();
    for name in services.as_object().unwrap().keys() {
        assert!(text.contains(&format!("`{name}`")), "docs/stack.md does not name {name}");
    }
    for file in [
        "Dockerfile",
        "compose.yaml",
        "deploy/jaeger",
        "deploy/loki",
        "deploy/alloy",
        "deploy/grafana",
        "dashboards",
    ] {
        assert!(text.contains(file), "docs/stack.md does not name {file}");
    }
}

#[test]
fn what_the_program_has_inside_of_other_folders_is_there_when_the_image_is_built() {
    let text = read("src/lab/up/backends.rs");
    let files = text.split("files!(\"").skip(1);
    let paths = text.split("include_str!(\"../../../").skip(1);
    let named: Vec<_> = files.chain(paths).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(named.len(), 4, "{named:?}");
    let all = instructions();
    for path in named {
        let covers = |line: &String| {
            line.strip_prefix("COPY ").is_some_and(|rest| path.starts_with(rest.split(' ').next().unwrap()))
        };
        assert!(all.iter().any(covers), "{path}");
    }
}
