/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Geometry of a kernel-owned page table
 */
#ifndef _ARM_SMMU_V3_PGTABLE_H
#define _ARM_SMMU_V3_PGTABLE_H

#include <uapi/linux/iommufd.h>

#include "arm-smmu-v3.h"

/**
 * struct arm_smmu_pgtable - Geometry of a kernel-owned page table
 * @stage: Stage of translation
 * @ias: Size of the input address in bits
 * @oas: Size of the output address in bits
 * @pgsize_bitmap: Page and block sizes in bytes, all of one granule
 */
struct arm_smmu_pgtable {
	enum arm_smmu_domain_stage stage;
	unsigned int ias;
	unsigned int oas;
	unsigned long pgsize_bitmap;
};

int arm_smmu_choose_pgtable(struct arm_smmu_pgtable *chosen,
			    const struct arm_smmu_device *smmu, u32 flags,
			    const struct iommu_hwpt_arm_smmuv3_pgtable *want);

#endif /* _ARM_SMMU_V3_PGTABLE_H */
