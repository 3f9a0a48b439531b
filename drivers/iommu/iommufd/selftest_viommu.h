/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The interface between the mock driver and its vIOMMUs.
 */
#ifndef __IOMMUFD_SELFTEST_VIOMMU_H
#define __IOMMUFD_SELFTEST_VIOMMU_H

#include <linux/iommu-viommu.h>
#include <linux/mutex.h>

#include "iommufd_private.h"
#include "iommufd_test.h"

/**
 * struct mock_guest_dev - A mock device as seen from a guest
 * @cache: Words that the device caches of the guest's translations. Protected
 *         by the xa_lock() of a vIOMMU's vDEVICEs while the device has one
 *         there.
 * @lock: Protects @vdev, from its lookup to the report of an event
 * @vdev: The vDEVICE, or NULL
 */
struct mock_guest_dev {
	u32 cache[MOCK_DEV_CACHE_NUM];
	/* Taken by unlink_vdevice, too: no event follows that */
	struct mutex lock;
	struct iommu_vdevice *vdev;
};

void mock_guest_dev_init(struct mock_guest_dev *guest);
bool mock_viommu_has_dev(struct iommu_viommu *viommu, struct device *dev);
const struct iommu_viommu_ops *mock_viommu_ops(struct device *dev, u32 type);
int iommufd_test_dev_check_cache(struct iommufd_ucmd *ucmd, u32 idev_id,
				 unsigned int cache_id, u32 cache);
int iommufd_test_trigger_vevent(struct iommufd_ucmd *ucmd, u32 idev_id);

#endif /* __IOMMUFD_SELFTEST_VIOMMU_H */
