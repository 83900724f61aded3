using Microsoft.Extensions.AI;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tokenization;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Chat;

/// <summary>Hidden states as vectors, against a forward pass of each text alone.</summary>
[TestClass]
[TestCategory("Chat")]
public sealed class EmbeddingGeneratorTests
{
    private static readonly string[] s_texts =
        [.. Enumerable.Range(1, 11).Select(i => string.Concat(Enumerable.Repeat($"Tom has {i} apples. ", i % 5))), "a"];

    private static readonly Lazy<SorsaTransformer> s_model = new(() => ChatClientTests.Load());

    [ClassCleanup]
    public static void Clean() => s_model.Value.Dispose();

    [TestMethod]
    [DataRow(EmbeddingPooling.Mean)]
    [DataRow(EmbeddingPooling.LastToken)]
    public async Task AVectorIsOfItsTextAlone(EmbeddingPooling pooling)
    {
        using IEmbeddingGenerator<string, Embedding<float>> generator = s_model.Value.AsEmbeddingGenerator(pooling, "tiny");
        using CausalLM network = CausalLM.Load(TestData.TinyLlama, ScalarType.Float32, CPU);
        TextTokenizer tokenizer = TextTokenizer.Load(TestData.TinyLlama);

        GeneratedEmbeddings<Embedding<float>> embeddings = await generator.GenerateAsync(s_texts);

        long tokens = 0;
        for (int i = 0; i < s_texts.Length; i++)
        {
            using var scope = NewDisposeScope();
            using var noGrad = no_grad();
            int[] ids = tokenizer.Encode(s_texts[i], addSpecialTokens: true);
            tokens += ids.Length;
            Tensor hidden = network.Forward(network.Embed(tensor(ids.Select(id => (long)id).ToArray()).unsqueeze(0)))[0];
            Tensor expected = pooling == EmbeddingPooling.Mean ? hidden.mean([0]) : hidden[-1];

            // Other shapes round otherwise: states of order 1, some hundred sums of float32.
            Assert.IsLessThan(1e-4, (tensor(embeddings[i].Vector.ToArray()) - expected).abs().max().item<float>(), $"text {i}");
            Assert.AreEqual("tiny", embeddings[i].ModelId);
        }

        Assert.AreEqual(tokens, embeddings.Usage!.InputTokenCount);
        Assert.AreEqual(network.Spec.HiddenSize, generator.GetService<EmbeddingGeneratorMetadata>()!.DefaultModelDimensions);
        Assert.AreSame(s_model.Value, generator.GetService<SorsaTransformer>());
    }

    [TestMethod]
    public async Task WhatCannotBeDoneIsRefused()
    {
        IEmbeddingGenerator<string, Embedding<float>> generator = s_model.Value.AsEmbeddingGenerator();

        Assert.Contains("Dimensions is 7; this model's vectors have 128", (await Assert.ThrowsExactlyAsync<NotSupportedException>(
            () => generator.GenerateAsync(["a"], new() { Dimensions = 7 }))).Message);
        Assert.Contains("ModelId is \"b\"", (await Assert.ThrowsExactlyAsync<ArgumentException>(
            () => generator.GenerateAsync(["a"], new() { ModelId = "b" }))).Message);
        Assert.Contains("Text 1 has", (await Assert.ThrowsExactlyAsync<ArgumentException>(
            () => generator.GenerateAsync(["a", string.Concat(Enumerable.Repeat("12 + 7 = ", 512))]))).Message);
        await Assert.ThrowsAsync<OperationCanceledException>(
            () => generator.GenerateAsync(["a"], cancellationToken: new CancellationToken(canceled: true)));
        Assert.IsEmpty(await generator.GenerateAsync([]));
        generator.Dispose();
        await Assert.ThrowsExactlyAsync<ObjectDisposedException>(() => generator.GenerateAsync(["a"]));
    }
}
