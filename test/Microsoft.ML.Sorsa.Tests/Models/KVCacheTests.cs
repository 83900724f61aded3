using Microsoft.ML.Sorsa.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Models;

[TestClass]
[TestCategory("Models")]
[TestCategory("Numeric")]
public sealed class KVCacheTests
{
    [TestMethod]
    public void TokensAreWrittenBehindAPastThatStaysWhereItIs()
    {
        using var scope = NewDisposeScope();
        using var cache = new KVCache(TinyModel.Config().Spec, 2, capacity: 9, ScalarType.Float32, TestDevice.Current);
        Tensor allKeys = rand(2, 2, 9, 4).OnDevice(), allValues = rand(2, 2, 9, 4).OnDevice();
        Tensor? first = null;
        int[] chunks = [4, 1, 3, 1];
        int past = 0;

        foreach (int chunk in chunks)
        {
            (Tensor keys, Tensor values) = cache.Append(1, allKeys.narrow(2, past, chunk), allValues.narrow(2, past, chunk));
            cache.Advance(chunk);
            past += chunk;

            Assert.AreEqual(past, cache.Length);
            Assert.IsTrue(keys.allclose(allKeys.narrow(2, 0, past), 0, 0));
            Assert.IsTrue(values.allclose(allValues.narrow(2, 0, past), 0, 0));

            // What is written through the first view stands in every later one.
            first ??= keys;
            first[0, 0, 0].fill_(past);
            allKeys[0, 0, 0].fill_(past);
            Assert.IsTrue(keys.allclose(allKeys.narrow(2, 0, past), 0, 0));
        }

        Assert.AreEqual(9, cache.Capacity);
    }

    [TestMethod]
    public void WhatDoesNotFitIsRefusedAndNothingIsWritten()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        CausalLM model = TinyModel.Create();
        using var cache = new KVCache(model.Spec, 1, capacity: 5, ScalarType.Float32, TestDevice.Current);
        model.Forward(model.Embed(ones([1, 4], ScalarType.Int64).OnDevice()), null, cache);

        var error = Assert.ThrowsExactly<ArgumentException>(
            () => model.Forward(model.Embed(ones([1, 2], ScalarType.Int64).OnDevice()), null, cache));

        Assert.AreEqual("cache", error.ParamName);
        Assert.Contains("holds 5 tokens; 4 are there and 2 more do not fit", error.Message);
        Assert.AreEqual(4, cache.Length);
    }

    [TestMethod]
    public void AMaskOfAnotherShapeIsRefused()
    {
        using var scope = NewDisposeScope();
        CausalLM model = TinyModel.Create();

        var error = Assert.ThrowsExactly<ArgumentException>(
            () => model.Forward(model.Embed(ones([2, 3], ScalarType.Int64).OnDevice()), ones([2, 4], ScalarType.Int64).OnDevice()));

        Assert.Contains("[2, 4]", error.Message);
        Assert.Contains("[2, 3]", error.Message);
    }

    [TestMethod]
    [DataRow(0)]
    [DataRow(-1)]
    public void ACapacityBelowOneIsRefused(int capacity) =>
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(
            () => new KVCache(TinyModel.Config().Spec, 1, capacity, ScalarType.Float32, TestDevice.Current));
}
