/*
 * Java's own HttpClient as a program gets it, without settings: on plain HTTP it offers HTTP/2 with each
 * first request of a connection (Upgrade: h2c).
 *
 *     java PlainClient.java http://127.0.0.1:3000 20
 *
 * Sends so many GET / and POST /api/users, in turn and then all at once, and prints how many had each
 * status, such as {"200":40,"201":40}. A request that fails ends it with its reason and exit code 1.
 */

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Collectors;

class PlainClient {
    private static final HttpClient CLIENT = HttpClient.newHttpClient();

    public static void main(String[] arguments) throws Exception {
        String url = arguments[0];
        int many = Integer.parseInt(arguments[1]);
        var statuses = new TreeMap<Integer, Integer>();
        for (HttpRequest request : requests(url, many)) {
            count(statuses, CLIENT.send(request, BodyHandlers.ofString()));
        }
        List<CompletableFuture<HttpResponse<String>>> all = requests(url, many).stream()
            .map(request -> CLIENT.sendAsync(request, BodyHandlers.ofString()))
            .collect(Collectors.toList());
        for (var answer : all) {
            count(statuses, answer.get());
        }
        System.out.println(statuses.entrySet().stream()
            .map(entry -> "\"" + entry.getKey() + "\":" + entry.getValue())
            .collect(Collectors.joining(",", "{", "}")));
    }

    private static List<HttpRequest> requests(String url, int many) {
        var requests = new ArrayList<HttpRequest>();
        for (int n = 0; n < many; n++) {
            requests.add(HttpRequest.newBuilder(URI.create(url + "/")).timeout(Duration.ofSeconds(30)).build());
            String user = "{\"name\":\"Ada\",\"email\":\"" + UUID.randomUUID() + "@example.com\"}";
            requests.add(HttpRequest.newBuilder(URI.create(url + "/api/users"))
                .timeout(Duration.ofSeconds(30))
                .header("content-type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString(user))
                .build());
        }
        return requests;
    }

    private static void count(TreeMap<Integer, Integer> statuses, HttpResponse<String> answer) {
        statuses.merge(answer.statusCode(), 1, Integer::sum);
    }
}
