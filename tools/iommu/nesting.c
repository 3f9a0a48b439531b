// SPDX-License-Identifier: GPL-2.0
/* Decide from errnos and registers if nesting works, and why not */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "device.h"

/* Arm SMMUs on which kernels disable nesting because of errata */
static bool has_erratum(__u32 iidr)
{
	unsigned int product = iidr >> 20, variant = (iidr >> 16) & 0xf;
	unsigned int revision = (iidr >> 12) & 0xf;

	if ((iidr & 0xfff) != 0x43b)
		return false;
	return (product == 0x483 && variant < 2) ||
	       (product == 0x487 && (variant < 1 || revision < 1));
}

static enum known answer(enum known can, char *why, size_t size,
			 const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, size, format, args);
	va_end(args);
	return can;
}

static enum known no_parent(const struct kernel *kernel,
			    const struct device *dev, char *why, size_t size)
{
	const __u32 *idr = dev->smmu.idr;

	if (!(idr[0] & IDR0_S2P))
		return answer(NO, why, size, "the SMMU has no stage 2");
	if (!(idr[0] & IDR0_S1P))
		return answer(NO, why, size, "the SMMU has no stage 1");
	if (has_erratum(dev->smmu.iidr))
		return answer(NO, why, size,
			      "an erratum of this SMMU (IIDR 0x%08x) forbids it",
			      dev->smmu.iidr);
	switch (sysfs_config(kernel, "CONFIG_ARM_SMMU_V3_IOMMUFD")) {
	case NO:
		return answer(NO, why, size,
			      "the kernel has CONFIG_ARM_SMMU_V3_IOMMUFD off");
	case YES:
		return answer(NO, why, size,
			      "the SMMU's driver refuses a nest parent");
	default:
		return answer(NO, why, size,
			      "the kernel has CONFIG_ARM_SMMU_V3_IOMMUFD off, or its driver can't nest");
	}
}

static enum known no_viommu(const struct device *dev, char *why, size_t size)
{
	if (dev->smmu.idr[3] & IDR3_FWB)
		return answer(NO, why, size,
			      "the SMMU's driver refuses a vIOMMU");
	switch (sysfs_assume_canwbs()) {
	case YES:
		return answer(NO, why, size,
			      "the SMMU has no S2FWB, and firmware does not call the device coherent");
	case NO:
		return answer(NO, why, size,
			      "the SMMU has no S2FWB, and there is no CANWBS: neither firmware (IORT) nor arm_smmu_v3.assume_canwbs says it");
	default:
		return answer(NO, why, size,
			      "the SMMU has no S2FWB, and firmware (IORT) does not say CANWBS");
	}
}

enum known can_nest(const struct kernel *kernel, const struct device *dev,
		    char *why, size_t size)
{
	const struct {
		const char *what;
		int err;
	} steps[] = {
		{ "a nest parent", dev->parent_err },
		{ "a vIOMMU", dev->viommu_err },
		{ "a nested HWPT", dev->nested_err },
		{ "an invalidation", dev->invalidate_err },
		{ "a vDEVICE", dev->vdevice_err },
	};
	unsigned int i;

	why[0] = 0;
	/* IOMMUs of SMMUv3 drivers have such names in all kernels */
	if (!strncmp(dev->iommu, "smmu3.", 6) &&
	    kernel_has(kernel, IOMMU_VIOMMU_ALLOC) == NO)
		return answer(NO, why, size,
			      "the kernel has no IOMMU_VIOMMU_ALLOC");
	/* Without a driver, a device may not be in a group yet */
	if (dev->group < 0 && *dev->driver)
		return answer(NO, why, size, "it is behind no IOMMU");
	if (!dev->asked)
		return answer(UNKNOWN, why, size, "%s", dev->unasked);
	if (dev->info_err)
		return answer(UNKNOWN, why, size, "IOMMU_GET_HW_INFO: %s",
			      strerror(-dev->info_err));
	/* Without the option a driver may report no hardware info */
	if (!is_smmu(dev) && !strncmp(dev->iommu, "smmu3.", 6) &&
	    sysfs_config(kernel, "CONFIG_ARM_SMMU_V3_IOMMUFD") == NO)
		return answer(NO, why, size,
			      "the kernel has CONFIG_ARM_SMMU_V3_IOMMUFD off");
	if (!is_smmu(dev))
		return answer(UNKNOWN, why, size,
			      "the kernel reports no SMMUv3 (hw_info type %u)",
			      dev->info.out_data_type);
	if (dev->parent_err == -EOPNOTSUPP)
		return no_parent(kernel, dev, why, size);
	if (dev->viommu_err == -EOPNOTSUPP)
		return no_viommu(dev, why, size);
	/*
	 * All devices of a group are attached together. Each needs a vDEVICE,
	 * since events carry its virtual ID.
	 */
	if (*dev->bridge && kernel_has(kernel, IOMMU_VEVENTQ_ALLOC) == YES)
		return answer(NO, why, size,
			      "its IOMMU group has a PCI bridge, %s, which can have no vDEVICE",
			      dev->bridge);
	if (dev->vdevice_err == -EOPNOTSUPP)
		return answer(NO, why, size,
			      "it has no StreamID, or more than one");
	for (i = 0; i < sizeof(steps) / sizeof(*steps); i++)
		if (steps[i].err)
			return answer(UNKNOWN, why, size, "%s: %s",
				      steps[i].what, strerror(-steps[i].err));
	return YES;
}
