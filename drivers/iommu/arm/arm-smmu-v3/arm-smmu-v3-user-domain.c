// SPDX-License-Identifier: GPL-2.0-only
/*
 * SMMUv3 side of iommu_ops::alloc_user_domain and hw_info: domains described by
 * parameters, and the features that user space may use.
 */
#include <kunit/visibility.h>
#include <linux/iommu-user-domain.h>

#include "arm-smmu-v3-user.h"

/**
 * arm_smmu_alloc_user_domain() - iommu_ops::alloc_user_domain of SMMUv3
 * @dev: Device whose SMMU is to use the domain
 * @params: Description of the domain
 *
 * Return: the domain, or
 * * -EOPNOTSUPP if the SMMU or the driver does not support the request. A nest
 *   parent is stage 2, and needs an SMMU that nests. A nested domain needs a
 *   vIOMMU, and for a fault queue a device that can stall. Dirty tracking needs
 *   stage 1. With such parameters the output size must cover all memory. See
 *   arm_smmu_choose_pgtable() for the page table.
 * * -EINVAL or -E2BIG for malformed data, see iommu_user_domain_data() and
 *   arm_smmu_choose_pgtable()
 * * -EIO if the vSTE is not acceptable, see arm_smmu_check_vste()
 * * -EBUSY if no ASID is left for stage 1
 * * -ENOMEM
 */
struct iommu_domain *
arm_smmu_alloc_user_domain(struct device *dev,
			   const struct iommu_user_domain_params *params)
{
	struct arm_smmu_master *master = dev_iommu_priv_get(dev);
	struct arm_smmu_device *smmu = master->smmu;
	struct iommu_hwpt_arm_smmuv3_pgtable want = {};
	struct arm_smmu_domain *smmu_domain;
	int ret;

	if (params->viommu)
		return arm_smmu_alloc_nested(master, params);
	if (params->parent)
		return ERR_PTR(-EOPNOTSUPP);

	switch (params->flags) {
	case 0:
	case IOMMU_HWPT_ALLOC_DIRTY_TRACKING:
		break;
	case IOMMU_HWPT_ALLOC_NEST_PARENT:
		if (!IS_ENABLED(CONFIG_ARM_SMMU_V3_IOMMUFD))
			return ERR_PTR(-EOPNOTSUPP);
		break;
	default:
		return ERR_PTR(-EOPNOTSUPP);
	}

	switch (params->data_type) {
	case IOMMU_HWPT_DATA_NONE:
		break;
	case IOMMU_HWPT_DATA_ARM_SMMUV3_PGTABLE:
		ret = iommu_user_domain_data(&want, params,
					     IOMMU_HWPT_DATA_ARM_SMMUV3_PGTABLE,
					     reserved);
		if (ret)
			return ERR_PTR(ret);
		break;
	default:
		return ERR_PTR(-EOPNOTSUPP);
	}

	smmu_domain = arm_smmu_domain_alloc(true);
	if (IS_ERR(smmu_domain))
		return ERR_CAST(smmu_domain);
	smmu_domain->domain.type = IOMMU_DOMAIN_UNMANAGED;
	/* A size or a granule of the request can limit the output size */
	smmu_domain->domain.ops = params->data_type == IOMMU_HWPT_DATA_NONE ?
		smmu->iommu.ops->default_domain_ops :
		&arm_smmu_narrow_domain_ops;
	smmu_domain->nest_parent = params->flags & IOMMU_HWPT_ALLOC_NEST_PARENT;

	ret = arm_smmu_domain_finalise(smmu_domain, smmu, params->flags, &want);
	if (ret) {
		kfree(smmu_domain);
		return ERR_PTR(ret);
	}
	return &smmu_domain->domain;
}

/**
 * arm_smmu_mask_hw_info() - Hide features that the kernel does not use
 * @smmu: SMMU with the features that remain after errata and firmware
 * @info: Registers as read, 6.3.1 to 6.3.6. Bits are cleared.
 */
void arm_smmu_mask_hw_info(const struct arm_smmu_device *smmu,
			   struct iommu_hw_info_arm_smmuv3 *info)
{
	const struct {
		u32 feature;
		unsigned int idr;
		u32 bits;
	} hidden_without[] = {
		{ ARM_SMMU_FEAT_BTM, 0, IDR0_BTM },
		{ ARM_SMMU_FEAT_COHERENCY, 0, IDR0_COHACC },
		{ ARM_SMMU_FEAT_HA, 0, IDR0_HTTU },
		{ ARM_SMMU_FEAT_ATS, 0, IDR0_ATS },
		{ ARM_SMMU_FEAT_SEV, 0, IDR0_SEV },
		{ ARM_SMMU_FEAT_PRI, 0, IDR0_PRI },
		{ ARM_SMMU_FEAT_RANGE_INV, 3, IDR3_RIL },
		{ ARM_SMMU_FEAT_S2FWB, 3, IDR3_FWB },
		{ ARM_SMMU_FEAT_DS, 5, IDR5_DS },
	};
	unsigned int i;

	for (i = 0; i != ARRAY_SIZE(hidden_without); i++)
		if (!(smmu->features & hidden_without[i].feature))
			info->idr[hidden_without[i].idr] &=
				~hidden_without[i].bits;

	/* Access flag without dirty state */
	if (!(smmu->features & ARM_SMMU_FEAT_HD) &&
	    FIELD_GET(IDR0_HTTU, info->idr[0]) > IDR0_HTTU_ACCESS) {
		info->idr[0] &= ~IDR0_HTTU;
		info->idr[0] |= FIELD_PREP(IDR0_HTTU, IDR0_HTTU_ACCESS);
	}
}
EXPORT_SYMBOL_IF_KUNIT(arm_smmu_mask_hw_info);

/**
 * arm_smmu_hw_info() - iommu_ops::hw_info of SMMUv3
 * @dev: Device behind the SMMU
 * @length: Set to the length of the information in bytes
 * @type: Type that user space asks for: IOMMU_HW_INFO_TYPE_DEFAULT or
 *        _ARM_SMMUV3. Set to IOMMU_HW_INFO_TYPE_ARM_SMMUV3.
 *
 * Return: struct iommu_hw_info_arm_smmuv3 for the caller to kfree(),
 * -EOPNOTSUPP for another type, or -ENOMEM
 */
void *arm_smmu_hw_info(struct device *dev, u32 *length, u32 *type)
{
	struct arm_smmu_master *master = dev_iommu_priv_get(dev);
	struct arm_smmu_device *smmu = master->smmu;
	struct iommu_hw_info_arm_smmuv3 *info;
	unsigned int i;

	if (*type != IOMMU_HW_INFO_TYPE_DEFAULT &&
	    *type != IOMMU_HW_INFO_TYPE_ARM_SMMUV3)
		return ERR_PTR(-EOPNOTSUPP);

	info = kzalloc(sizeof(*info), GFP_KERNEL);
	if (!info)
		return ERR_PTR(-ENOMEM);

	for (i = 0; i != ARRAY_SIZE(info->idr); i++)
		info->idr[i] = readl_relaxed(smmu->base + ARM_SMMU_IDR0 +
					     i * sizeof(u32));
	info->iidr = readl_relaxed(smmu->base + ARM_SMMU_IIDR);
	info->aidr = readl_relaxed(smmu->base + ARM_SMMU_AIDR);
	arm_smmu_mask_hw_info(smmu, info);

	*length = sizeof(*info);
	*type = IOMMU_HW_INFO_TYPE_ARM_SMMUV3;
	return info;
}
