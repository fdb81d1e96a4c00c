/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* org.varlink.service: what every varlink service tells of itself. */
#include <string.h>

#include "config.h"
#include "mdclusterd/control/control_private.h"

static const char service_description[] =
	"# What every varlink service tells of itself\n"
	"interface org.varlink.service\n"
	"method GetInfo() -> (vendor: string, product: string, version: string,"
	" url: string, interfaces: []string)\n"
	"method GetInterfaceDescription(interface: string) -> (description: string)\n"
	"error InterfaceNotFound (interface: string)\n"
	"error MethodNotFound (method: string)\n"
	"error MethodNotImplemented (method: string)\n"
	"error InvalidParameter (parameter: string)\n"
	"error PermissionDenied ()\n"
	"error ExpectedMore ()\n";

static void get_info(struct control_call *call)
{
	control_reply(call, json_pack("{s:s, s:s, s:s, s:s, s:[s, s]}", "vendor",
				      "mdclusterd", "product", "mdclusterd", "version",
				      PACKAGE_VERSION, "url", "", "interfaces",
				      "org.mdcluster", "org.varlink.service"));
}

static void get_description(struct control_call *call, const json_t *parameters)
{
	const char *wanted = json_string_value(json_object_get(parameters, "interface"));
	const char *text = NULL;

	if (!wanted) {
		control_fail_parameter(call, "interface");
		return;
	}
	if (strcmp(wanted, "org.mdcluster") == 0)
		text = call->connection->server->description;
	else if (strcmp(wanted, "org.varlink.service") == 0)
		text = service_description;
	if (text)
		control_reply(call, json_pack("{s:s}", "description", text));
	else
		control_error(call, "org.varlink.service.InterfaceNotFound",
			      json_pack("{s:s}", "interface", wanted));
}

bool control_service(struct control_call *call, const char *method, const json_t *parameters)
{
	if (strcmp(method, "org.varlink.service.GetInfo") == 0)
		get_info(call);
	else if (strcmp(method, "org.varlink.service.GetInterfaceDescription") == 0)
		get_description(call, parameters);
	else
		return false;
	return true;
}
