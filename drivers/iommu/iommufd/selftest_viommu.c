// SPDX-License-Identifier: GPL-2.0-only
/*
 * vIOMMUs of the mock driver: all ops that iommufd calls. The only state behind
 * them is four cached words per device.
 */
#include <linux/iommu.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "../iommu-priv.h"
#include "selftest_viommu.h"

/* Small, so that a request of moderate length takes several chunks */
#define MOCK_INVALIDATE_CHUNK	8

static const struct iommu_viommu_ops mock_guest_ops;
static const struct iommu_viommu_ops mock_strict_ops;

static struct mock_guest_dev *to_mock_guest_dev(struct device *dev)
{
	return dev_iommu_priv_get(dev);
}

void mock_guest_dev_init(struct mock_guest_dev *guest)
{
	unsigned int i;

	for (i = 0; i != ARRAY_SIZE(guest->cache); i++)
		guest->cache[i] = IOMMU_TEST_DEV_CACHE_DEFAULT;
	mutex_init(&guest->lock);
}

/* Check if the device has a vDEVICE on the vIOMMU */
bool mock_viommu_has_dev(struct iommu_viommu *viommu, struct device *dev)
{
	struct mock_guest_dev *guest = to_mock_guest_dev(dev);

	guard(mutex)(&guest->lock);
	return guest->vdev && guest->vdev->viommu == viommu;
}

/* vIOMMU ops */

static struct iommu_viommu *
__mock_viommu_alloc(struct iommu_domain *parent,
		    const struct iommu_viommu_ops *ops,
		    struct iommu_viommu_selftest *user)
{
	struct iommu_viommu *viommu;

	viommu = kzalloc(sizeof(*viommu), GFP_KERNEL_ACCOUNT);
	if (!viommu)
		return ERR_PTR(-ENOMEM);
	iommu_viommu_init(viommu, ops, parent);
	/* User space has nothing to mmap() */
	if (user)
		*user = (struct iommu_viommu_selftest){
			.in_data = user->in_data,
			.out_data = user->in_data,
		};
	return viommu;
}

static struct iommu_viommu *
mock_viommu_alloc(struct device *dev, struct iommu_domain *parent, void *data)
{
	return __mock_viommu_alloc(parent, &mock_guest_ops, data);
}

static struct iommu_viommu *
mock_strict_alloc(struct device *dev, struct iommu_domain *parent, void *data)
{
	const struct iommu_viommu_selftest *user = data;

	if (!user || !user->in_data)
		return ERR_PTR(-EINVAL);
	return __mock_viommu_alloc(parent, &mock_strict_ops, data);
}

static void mock_viommu_free(struct iommu_viommu *viommu)
{
	kfree(viommu);
}

static int mock_viommu_check_vdevice(struct iommu_viommu *viommu,
				     struct device *dev, u64 virt_id)
{
	/* Invalidations and events hold 32-bit IDs */
	return virt_id > U32_MAX ? -EINVAL : 0;
}

static void mock_viommu_link_vdevice(struct iommu_vdevice *vdev)
{
	struct mock_guest_dev *guest = to_mock_guest_dev(vdev->dev);

	mutex_lock(&guest->lock);
	guest->vdev = vdev;
	mutex_unlock(&guest->lock);
}

static void mock_viommu_unlink_vdevice(struct iommu_vdevice *vdev)
{
	struct mock_guest_dev *guest = to_mock_guest_dev(vdev->dev);

	mutex_lock(&guest->lock);
	guest->vdev = NULL;
	mutex_unlock(&guest->lock);
}

static int mock_viommu_invalidate(struct iommu_viommu *viommu,
				  const struct iommu_viommu_invalidate_selftest *inv)
{
	struct mock_guest_dev *guest;
	struct device *dev;

	if (inv->flags & ~IOMMU_TEST_INVALIDATE_FLAG_ALL)
		return -EOPNOTSUPP;
	if (inv->cache_id > MOCK_DEV_CACHE_ID_MAX)
		return -EINVAL;

	xa_lock(&viommu->vdevs);
	dev = iommu_viommu_find_dev(viommu, inv->vdev_id);
	if (dev) {
		guest = to_mock_guest_dev(dev);
		if (inv->flags & IOMMU_TEST_INVALIDATE_FLAG_ALL)
			memset(guest->cache, 0, sizeof(guest->cache));
		else
			guest->cache[inv->cache_id] = 0;
	}
	xa_unlock(&viommu->vdevs);
	return dev ? 0 : -EINVAL;
}

static int mock_viommu_cache_invalidate(struct iommu_viommu *viommu,
					struct iommu_user_data_array *array)
{
	struct iommu_viommu_invalidate_selftest invs[MOCK_INVALIDATE_CHUNK];
	const u32 total = array->entry_num;
	int rc = 0;

	array->entry_num = 0;
	if (array->type != IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST)
		return -EINVAL;

	while (!rc && array->entry_num != total) {
		u32 num = min_t(u32, total - array->entry_num,
				ARRAY_SIZE(invs));
		int read_rc;
		u32 i;

		read_rc = iommu_user_array_read(&invs[0], array, cache_id,
						array->entry_num, &num);
		for (i = 0; i != num; i++) {
			rc = mock_viommu_invalidate(viommu, &invs[i]);
			if (rc)
				return rc;
			array->entry_num++;
		}
		rc = read_rc;
		if (!rc && fatal_signal_pending(current))
			rc = -EINTR;
		cond_resched();
	}
	return rc;
}

static const struct iommu_vevent_type mock_vevent_types[] = {
	{
		.type = IOMMU_VEVENTQ_TYPE_SELFTEST,
		.len = sizeof(struct iommu_viommu_event_selftest),
	},
	{}
};

static const struct iommu_viommu_ops mock_guest_ops = {
	.alloc = mock_viommu_alloc,
	.free = mock_viommu_free,
	.data_len = sizeof(struct iommu_viommu_selftest),
	.check_vdevice = mock_viommu_check_vdevice,
	.link_vdevice = mock_viommu_link_vdevice,
	.unlink_vdevice = mock_viommu_unlink_vdevice,
	.cache_invalidate = mock_viommu_cache_invalidate,
	.vevent_types = mock_vevent_types,
};

static const struct iommu_viommu_ops mock_strict_ops = {
	.alloc = mock_strict_alloc,
	.free = mock_viommu_free,
	.data_len = sizeof(struct iommu_viommu_selftest),
};

const struct iommu_viommu_ops *mock_viommu_ops(struct device *dev, u32 type)
{
	switch (type) {
	case IOMMU_VIOMMU_TYPE_SELFTEST:
		return &mock_guest_ops;
	case IOMMU_VIOMMU_TYPE_SELFTEST_STRICT:
		return &mock_strict_ops;
	default:
		return NULL;
	}
}

/* Operations of the test ioctl */

static struct iommufd_device *iommufd_test_get_mock(struct iommufd_ucmd *ucmd,
						    u32 idev_id)
{
	struct iommufd_device *idev = iommufd_get_device(ucmd, idev_id);

	if (!IS_ERR(idev) && !iommufd_selftest_is_mock_dev(idev->dev)) {
		iommufd_put_object(ucmd->ictx, &idev->obj);
		return ERR_PTR(-EINVAL);
	}
	return idev;
}

int iommufd_test_dev_check_cache(struct iommufd_ucmd *ucmd, u32 idev_id,
				 unsigned int cache_id, u32 cache)
{
	struct iommufd_device *idev;
	int rc = 0;

	if (cache_id > MOCK_DEV_CACHE_ID_MAX)
		return -EINVAL;

	idev = iommufd_test_get_mock(ucmd, idev_id);
	if (IS_ERR(idev))
		return PTR_ERR(idev);
	if (READ_ONCE(to_mock_guest_dev(idev->dev)->cache[cache_id]) != cache)
		rc = -EINVAL;
	iommufd_put_object(ucmd->ictx, &idev->obj);
	return rc;
}

int iommufd_test_trigger_vevent(struct iommufd_ucmd *ucmd, u32 idev_id)
{
	struct iommu_viommu_event_selftest event;
	struct mock_guest_dev *guest;
	struct iommufd_device *idev;
	int rc = -ENOENT;

	idev = iommufd_test_get_mock(ucmd, idev_id);
	if (IS_ERR(idev))
		return PTR_ERR(idev);
	guest = to_mock_guest_dev(idev->dev);

	mutex_lock(&guest->lock);
	if (guest->vdev) {
		event.virt_id = guest->vdev->virt_id;
		rc = iommu_viommu_report_event(guest->vdev->viommu,
					       IOMMU_VEVENTQ_TYPE_SELFTEST,
					       &event, sizeof(event));
	}
	mutex_unlock(&guest->lock);

	iommufd_put_object(ucmd->ictx, &idev->obj);
	return rc;
}
