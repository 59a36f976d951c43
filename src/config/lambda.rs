//! What AWS Lambda says about the function in its environment (AWS Lambda Developer Guide, "Defined
//! runtime environment variables").

use super::Invalid;

/// The function this process is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LambdaEnvironment {
    /// host:port of the runtime API; an emulator's is a URL.
    pub runtime_api: String,
    /// Its name.
    pub name: String,
    /// `$LATEST` or a number.
    pub version: String,
    /// Its memory, in MiB.
    pub memory_mib: i64,
    /// The group of its logs.
    pub log_group: Option<String>,
    /// The stream of this instance's logs.
    pub log_stream: Option<String>,
    /// Where it runs.
    pub region: Option<String>,
    /// Whether the instance was started for an invocation that waits, and not ahead of any.
    pub on_demand: bool,
}

impl LambdaEnvironment {
    /// The function of this process; `None` where the Lambda runtime is not there.
    ///
    /// # Errors
    /// The runtime is there and one of the variables without which `lambda_runtime` panics is not.
    pub fn read() -> Result<Option<Self>, Invalid> {
        Self::from(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn from(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, Invalid> {
        const RUNTIME_API: &str = super::child::LAMBDA_RUNTIME_API;
        let Some(runtime_api) = variable(RUNTIME_API) else { return Ok(None) };
        let needed =
            |name| variable(name).ok_or_else(|| Invalid(format!("{RUNTIME_API} is set but {name} is not")));
        let memory = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE";
        Ok(Some(Self {
            runtime_api,
            name: needed("AWS_LAMBDA_FUNCTION_NAME")?,
            version: needed("AWS_LAMBDA_FUNCTION_VERSION")?,
            // An i32, because that is what lambda_runtime reads.
            memory_mib: needed(memory)?
                .parse::<i32>()
                .map_err(|_| Invalid(format!("{memory} is not a number")))?
                .into(),
            log_group: variable("AWS_LAMBDA_LOG_GROUP_NAME"),
            log_stream: variable("AWS_LAMBDA_LOG_STREAM_NAME"),
            region: variable(super::child::AWS_REGION),
            on_demand: variable("AWS_LAMBDA_INITIALIZATION_TYPE").is_none_or(|kind| kind == "on-demand"),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Option<LambdaEnvironment>, Invalid> {
        LambdaEnvironment::from(|name| {
            pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    const COMPLETE: [(&str, &str); 4] = [
        ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001"),
        ("AWS_LAMBDA_FUNCTION_NAME", "order-validator"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "7"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
    ];

    #[test]
    fn without_the_runtime_there_is_no_function_and_with_half_of_it_there_is_a_message() {
        assert!(read(&COMPLETE[1..]).is_ok_and(|function| function.is_none()));
        for missing in 1..COMPLETE.len() {
            let mut pairs = COMPLETE.to_vec();
            let (name, _) = pairs.remove(missing);
            assert!(read(&pairs).is_err_and(|error| error.to_string().contains(name)), "{name}");
        }
        let text = [&COMPLETE[..3], &[("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "much")]].concat();
        assert!(read(&text).is_err());
    }

    #[test]
    fn only_an_instance_started_on_demand_starts_cold() {
        for (kind, on_demand) in
            [("on-demand", true), ("provisioned-concurrency", false), ("snap-start", false)]
        {
            let pairs = [&COMPLETE[..], &[("AWS_LAMBDA_INITIALIZATION_TYPE", kind)]].concat();
            let function = read(&pairs).ok().flatten().unwrap_or_default();
            assert_eq!(function.on_demand, on_demand, "{kind}");
        }
        let function = read(&COMPLETE).ok().flatten().unwrap_or_default();
        assert_eq!((function.on_demand, function.memory_mib), (true, 256));
    }
}
