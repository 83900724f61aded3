using Microsoft.Extensions.AI;
using Microsoft.ML.Sorsa.Chat;
using TorchSharp;

namespace Microsoft.ML.Sorsa.Tests.Chat;

/// <summary>What a client leaves behind. Alone, since tensors of all threads are counted.</summary>
[TestClass]
[TestCategory("Chat")]
[DoNotParallelize]
public sealed class ChatMemoryTests
{
    [TestMethod]
    public async Task NoTensorOutlivesAClient()
    {
        using SorsaTransformer model = ChatClientTests.Load();
        await Use(model, callers: 2);
        GC.Collect();
        GC.WaitForPendingFinalizers();
        long before = torch.Tensor.TotalCount;

        await Use(model, callers: 9);

        Assert.AreEqual(before, torch.Tensor.TotalCount);
    }

    /// <summary>Callers of all kinds: done, cancelled, and waited for no longer when the client is disposed of.</summary>
    private static async Task Use(SorsaTransformer model, int callers)
    {
        using var cancel = new CancellationTokenSource();
        using IChatClient client = model.AsChatClient(new() { KeptTokens = 300, BatchSize = 4 });
        await Task.WhenAll(Enumerable.Range(0, callers).Select(caller => client.GetResponseAsync($"{caller} and {caller} apples?")));
        await foreach (ChatResponseUpdate _ in client.GetStreamingResponseAsync("5 apples?", cancellationToken: cancel.Token))
        {
            break;
        }

        Task<ChatResponse> cancelled = client.GetResponseAsync("6 apples?", cancellationToken: cancel.Token);
        await cancel.CancelAsync();
        await Assert.ThrowsAsync<OperationCanceledException>(() => cancelled);
        Task<ChatResponse> waiting = client.GetResponseAsync("7 apples?", new() { MaxOutputTokens = 400, FrequencyPenalty = -2 });
        client.Dispose();
        await Assert.ThrowsExactlyAsync<ObjectDisposedException>(() => waiting);
    }
}
