/* SPDX-License-Identifier: Apache-2.0 */
/* topology_internal.h - the parts that fill an ftl_topology.  Each leaves what it cannot read as
 * it was, and relies on the fields that the ones before it filled. */
#ifndef FTL_DEVICE_TOPOLOGY_INTERNAL_H
#define FTL_DEVICE_TOPOLOGY_INTERNAL_H

#include "device/topology.h"

/* 1. cpu_name, cpu_vendor, arch, isa, board, kernel, governor, max_mhz, virtualization, container,
 * is_wsl, power_source, battery.  FTL_ENOMEM. */
ftl_status ftl_topology_read_host(ftl_topology *t, const char *root);
/* 2. After `allowed`: packages, cores, kinds, caches, NUMA nodes and `cores`.  FTL_ENOMEM. */
ftl_status ftl_topology_read_hwloc(ftl_topology *t, const char *root);

#endif
