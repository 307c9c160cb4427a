//! Names of the headers that carry identity.

/// The claims of the signed-in person, signed by the load balancer.
pub const ALB_CLAIMS: &str = "x-amzn-oidc-data";

/// The provider's access token, passed on by the load balancer as it received it.
pub const ALB_ACCESS_TOKEN: &str = "x-amzn-oidc-accesstoken";

/// The bare subject. Unsigned, hence never identity: anyone who reaches the service can send it.
pub const ALB_SUBJECT: &str = "x-amzn-oidc-identity";
