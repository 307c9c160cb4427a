"""A user pool, and a load balancer that signs its people in, in MiniStack, with boto3."""

import boto3

from lines import serve

REGION = "us-east-1"


def answer(request):
    endpoint = request["endpoint"]
    if not endpoint.startswith("http://127.0.0.1:"):
        raise ValueError("only an emulator on this machine is asked")
    port = int(endpoint.rsplit(":", 1)[1])
    # MiniStack serves the load balancer called `viewer` under this name.
    viewer = f"http://viewer.alb.localhost:{port}"
    pool = user_pool(client(endpoint, "cognito-idp"), viewer, request)
    issuer = f"{endpoint}/{pool['pool']}"
    signer = load_balancer(client(endpoint, "elbv2"), port, request["target_port"], issuer, pool)
    return {
        "viewer": viewer,
        "login": f"http://localhost:{port}",
        "issuer": issuer,
        "client": pool["client"],
        "signer": signer,
    }


def client(endpoint, service):
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def user_pool(cognito, viewer, request):
    people = request["people"]
    pool = cognito.create_user_pool(PoolName="people")["UserPool"]["Id"]
    app = cognito.create_user_pool_client(
        UserPoolId=pool,
        ClientName="viewer",
        GenerateSecret=True,
        AllowedOAuthFlowsUserPoolClient=True,
        AllowedOAuthFlows=["code"],
        AllowedOAuthScopes=["openid", "email"],
        SupportedIdentityProviders=["COGNITO"],
        CallbackURLs=[f"{viewer}/oauth2/idpresponse"],
        LogoutURLs=[f"{viewer}/"],
    )["UserPoolClient"]
    for group in sorted({group for person in people for group in person["groups"]}):
        cognito.create_group(UserPoolId=pool, GroupName=group)
    for person in people:
        add(cognito, pool, person, request["password"])
    return {"pool": pool, "client": app["ClientId"], "secret": app["ClientSecret"]}


def add(cognito, pool, person, password):
    who = {"UserPoolId": pool, "Username": person["name"]}
    attributes = {"email": person["email"], "email_verified": "true"}
    cognito.admin_create_user(
        **who,
        MessageAction="SUPPRESS",
        UserAttributes=[{"Name": name, "Value": value} for name, value in attributes.items()],
    )
    cognito.admin_set_user_password(**who, Password=password, Permanent=True)
    for group in person["groups"]:
        cognito.admin_add_user_to_group(**who, GroupName=group)


def load_balancer(elb, port, target_port, issuer, pool):
    arn = elb.create_load_balancer(Name="viewer")["LoadBalancers"][0]["LoadBalancerArn"]
    group = elb.create_target_group(
        Name="edgemint", Protocol="HTTP", Port=target_port, TargetType="ip", VpcId="vpc-00000001"
    )["TargetGroups"][0]["TargetGroupArn"]
    elb.register_targets(TargetGroupArn=group, Targets=[{"Id": "127.0.0.1", "Port": target_port}])
    login = f"http://localhost:{port}"

    def actions(on_unauthenticated):
        sign_in = {
            "Issuer": issuer,
            "AuthorizationEndpoint": f"{login}/oauth2/authorize",
            "TokenEndpoint": f"{login}/oauth2/token",
            "UserInfoEndpoint": f"{login}/oauth2/userInfo",
            "ClientId": pool["client"],
            "ClientSecret": pool["secret"],
            "Scope": "openid email",
            "OnUnauthenticatedRequest": on_unauthenticated,
        }
        return [
            {"Type": "authenticate-oidc", "Order": 1, "AuthenticateOidcConfig": sign_in},
            {"Type": "forward", "Order": 2, "TargetGroupArn": group},
        ]

    # The README's listener rules.
    listener = elb.create_listener(
        LoadBalancerArn=arn, Protocol="HTTP", Port=port, DefaultActions=actions("allow")
    )["Listeners"][0]["ListenerArn"]
    elb.create_rule(
        ListenerArn=listener,
        Priority=1,
        Conditions=[{"Field": "path-pattern", "Values": ["/session/login"]}],
        Actions=actions("authenticate"),
    )
    elb.create_rule(
        ListenerArn=listener,
        Priority=2,
        Conditions=[{"Field": "path-pattern", "Values": ["/session", "/session/*"]}],
        Actions=actions("allow"),
    )
    return arn


serve(answer)
